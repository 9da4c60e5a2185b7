"""Goes on with a plan from its file, as it was frozen; and chooses which of its cells run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import quintain
from quintain.compose.assemble import Unusual, setting
from quintain.compose.cells import RESULTS_VERSION, Cell
from quintain.compose.config import compose_one, composer
from quintain.compose.content import unchanged
from quintain.compose.errors import UsageError
from quintain.compose.plan import Action, Lookup, Plan, Planned
from quintain.compose.planfile import load, plain_cells
from quintain.compose.settings import OUTSIDE, Settings, settings_of
from quintain.compose.shared import Shared
from quintain.compose.thaw import thaw


def resume(file: Path, words: Sequence[str], status: Lookup) -> Plan:
    """The plan of a file, its cells as they were frozen, what is in the store by now left out.

    Args:
        file: as a sweep wrote it.
        words: settings that say how and where (`store=`, `launch.workers=`); no others.
        status: looks cells up.

    Raises:
        UsageError: the plan is of another version, was changed, or the plugins' sources were.
    """
    content = load(file)
    _check_version(file, content)
    settings = _settings(file, content, words)
    plan = Plan(settings, name=file.stem, words=[str(word) for word in content.get("words", [])])
    plan.notes = [str(note) for note in content.get("notes", [])]
    plan.cells, problems = _thawed(file, content)
    if problems:
        raise UsageError([*problems, f"make the plan anew: {_command(content)}"])
    done = status(settings.store, [planned.cell.key for planned in plan.cells])
    for planned in plan.cells:
        if planned.action == "run" and done.get(planned.cell.key) == "ok":
            planned.action = "cached"
    return plan


def _thawed(file: Path, content: dict[str, Any]) -> tuple[list[Planned], dict[str, None]]:
    """The cells of a plan, and what is wrong with others, each sentence once."""
    shared, cells, problems = Shared(), list[Planned](), dict[str, None]()
    for plain, entry in plain_cells(content):
        try:
            cell = replace(thaw(plain, shared), width=None)  # no key covers it; the run solves it
        except UsageError as error:
            problems |= dict.fromkeys(f"{file}: {text}" for text in error.problems)
            continue
        action, name = entry.get("action"), cell.names["dataset"]
        if not shared.of(unchanged, cell.config["dataset"]):
            problems[f"{file}: the files of dataset={name} are others than when it was made"] = None
        elif action not in get_args(Action):
            problems[f"{file}: a cell cannot be {action!r:.40}"] = None
        else:
            params = content["groups"][entry["group"]].get("params")
            cells.append(_planned(cell, entry, params if type(params) is int else None))
    return cells, problems


def _planned(cell: Cell, entry: dict[str, Any], params: int | None) -> Planned:
    """What the plan says of a cell: skipped with its reason, else to run."""
    if entry["action"] == "skipped":
        return Planned(cell, "skipped", str(entry.get("reason", "")), params)
    return Planned(cell, "run", "", params)


def choose(plan: Plan, status: Lookup, *, only_failed: bool, force: bool) -> None:
    """Change what a plan runs: only what has failed, or also what is in the store."""
    found = status(plan.settings.store, [p.cell.key for p in plan.cells]) if only_failed else {}
    for planned in plan.cells:
        if force and planned.action == "cached":
            planned.action = "run"
        if only_failed and planned.action == "run":
            ended = found.get(planned.cell.key)
            if ended is None:
                why = "never ran: code or settings of a cell that failed make a new one"
                planned.action, planned.reason = "left", f"{why} (--only failed)"
            elif ended != "failed":
                planned.action, planned.reason = "left", "has not failed (--only failed)"
    plan.force = force


def _check_version(file: Path, content: dict[str, Any]) -> None:
    ours = {"quintain": quintain.__version__, "results_version": RESULTS_VERSION}
    theirs = {name: content.get(name) for name in ours}
    if theirs != ours:
        raise UsageError(
            f"{file} was made by Quintain {theirs['quintain']!s:.20} (results version"
            f" {theirs['results_version']!s:.20}), and this is {ours['quintain']} (results version"
            f" {ours['results_version']}): make the plan anew, what is in the store and still"
            f" holds is kept: {_command(content)}"
        )


def _command(content: dict[str, Any]) -> str:
    return " ".join(["quintain sweep", *(str(word) for word in content.get("words", []))])


def _settings(file: Path, content: dict[str, Any], words: Sequence[str]) -> Settings:
    with composer():
        config = compose_one([]).config
        config |= {name: content["settings"].get(name, config[name]) for name in OUTSIDE}
        place = file.absolute().parent
        if place.name == "plans":  # a store may have been moved with its plans
            config["store"] = str(place.parent)
        for text in words:
            config = _with(config, text)
        return settings_of(config)


def _with(config: dict[str, Any], text: str) -> dict[str, Any]:
    try:
        word = setting(text)
    except Unusual:
        word = None
    if word is None or word.path[0] not in OUTSIDE:
        raise UsageError(
            f"{text}: a plan goes on as it was frozen; with --resume only settings of how and"
            f" where can be given: {', '.join(OUTSIDE)}"
        )
    first, *rest = word.path
    if not rest:
        return config | {first: word.value}
    return config | {first: _put(config[first], rest, word.value)}


def _put(table: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """The table with another value at a path; what does not fit is told by `settings_of`."""
    plain = table if isinstance(table, dict) else {}
    first, *rest = path
    return plain | {first: _put(plain.get(first), rest, value) if rest else value}
