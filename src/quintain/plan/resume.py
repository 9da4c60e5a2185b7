"""Resumes a plan from its file, and selects the cells that run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from quintain._version import __version__
from quintain.compose.config import compose_job, hydra_session
from quintain.compose.data_hash import has_same_content
from quintain.compose.fast_compose import NotPlain, parse_plain_override
from quintain.compose.settings import EXECUTION_SETTINGS, Settings, read_settings
from quintain.compose.words import find_text_settings, quote_words
from quintain.errors import UsageError
from quintain.plan.cell import RESULTS_VERSION
from quintain.plan.cell_file import load_cell
from quintain.plan.interning import InternPool
from quintain.plan.plan import Action, Plan, PlannedCell, PlanServices
from quintain.plan.plan_file import find_store_of_plan, iterate_cells, load_plan_file


def resume_plan(file: Path, overrides: Sequence[str], services: PlanServices) -> Plan:
    """Return the plan in a file; cells that have a result in the store by now are cached.

    The overrides may only change execution settings, such as `store` and `launch.workers`.

    Raises:
        UsageError: the plan was made by another version, or the plan, a plugin or a data file was
            changed since.
    """
    content = load_plan_file(file)
    _check_version(file, content)
    plan = Plan(_resume_settings(file, content, overrides), name=file.stem)
    plan.overrides = [str(text) for text in content.get("overrides", [])]
    plan.notes = [str(note) for note in content.get("notes", [])]
    plan.cells, problems = _load_cells(file, content)
    if problems:
        raise UsageError([*problems, f"make a new plan: {_sweep_command(content)}"])
    keys = [planned.cell.key for planned in plan.cells]
    statuses = services.read_statuses(plan.settings.store, keys)
    for planned in plan.cells:
        if planned.action == "run" and statuses.get(planned.cell.key) == "ok":
            planned.action = "cached"
    return plan


def _load_cells(file: Path, content: dict[str, Any]) -> tuple[list[PlannedCell], list[str]]:
    """Return the cells of a plan, and the problems of those that cannot run, each once."""
    pool = InternPool()
    cells: list[PlannedCell] = []
    problems: list[str] = []
    for values, entry in iterate_cells(content):
        try:
            cell = load_cell(values, pool)
        except UsageError as error:
            problems += error.problems
            continue
        if not pool.apply(has_same_content, cell.config["dataset"]):
            name = cell.names["dataset"]
            problems.append(f"the files of dataset={name} have changed since the plan was made")
        elif entry["action"] not in get_args(Action):
            problems.append(f"a cell has an unknown action {entry['action']!r:.40}")
        else:
            params = content["groups"][entry["group"]].get("params")
            is_skipped = entry["action"] == "skipped"
            planned = PlannedCell(
                # The width is not part of the key, so an edited one would go unnoticed.
                replace(cell, width=None),
                "skipped" if is_skipped else "run",
                str(entry.get("reason", "")) if is_skipped else "",
                params if type(params) is int else None,
            )
            cells.append(planned)
    return cells, [f"{file}: {text}" for text in dict.fromkeys(problems)]


def select_cells(plan: Plan, services: PlanServices, *, only_failed: bool, force: bool) -> None:
    """Change the actions of a plan's cells in place.

    `only_failed` excludes cells whose record is not a failure; `force` also runs cells whose result
    is in the store.
    """
    keys = [planned.cell.key for planned in plan.cells]
    statuses = services.read_statuses(plan.settings.store, keys) if only_failed else {}
    for planned in plan.cells:
        if force and planned.action == "cached":
            planned.action = "run"
        if only_failed and planned.action == "run":
            status = statuses.get(planned.cell.key)
            if status is None:
                reason = "never ran: a failed cell whose code or settings changed is a new cell"
                planned.action, planned.reason = "excluded", f"{reason} (--only failed)"
            elif status != "failed":
                planned.action, planned.reason = "excluded", "has not failed (--only failed)"
    plan.force = force


def _check_version(file: Path, content: dict[str, Any]) -> None:
    versions = {"quintain": __version__, "results_version": RESULTS_VERSION}
    in_file = {name: content.get(name) for name in versions}
    if in_file != versions:
        raise UsageError(
            f"{file} was made by Quintain {in_file['quintain']!s:.20} (results version"
            f" {in_file['results_version']!s:.20}), and this is {versions['quintain']} (results"
            f" version {versions['results_version']}): make a new plan; results in the store"
            f" that are still valid are reused: {_sweep_command(content)}"
        )


def _sweep_command(content: dict[str, Any]) -> str:
    return " ".join(["quintain sweep", *(str(text) for text in content.get("overrides", []))])


def _resume_settings(file: Path, content: dict[str, Any], overrides: Sequence[str]) -> Settings:
    with hydra_session():
        config = compose_job([]).config
        saved = content["settings"]
        config |= {name: saved.get(name, config[name]) for name in EXECUTION_SETTINGS}
        if store := find_store_of_plan(file):  # a store may have been moved with its plans
            config["store"] = str(store)
        for text in overrides:
            config = _apply_override(config, text)
        return read_settings(config)


def _apply_override(config: dict[str, Any], text: str) -> dict[str, Any]:
    words, _ = quote_words([text], find_text_settings([]))
    try:
        override = parse_plain_override(words[0] if words else text)
    except NotPlain:
        override = None
    if override is None or override.path[0] not in EXECUTION_SETTINGS:
        raise UsageError(
            f"{text}: the cells of a plan are fixed; with --resume only settings of how and where"
            f" they run can be changed: {', '.join(EXECUTION_SETTINGS)}"
        )
    return _set(config, override.path, override.value)


def _set(table: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a table with one value replaced; `read_settings` reports unknown keys."""
    values: dict[str, Any] = table if isinstance(table, dict) else {}
    first, *rest = path
    return values | {first: _set(values.get(first), rest, value) if rest else value}
