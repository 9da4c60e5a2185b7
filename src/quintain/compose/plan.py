"""The frozen list of what a sweep will do, made before anything runs.

Every cell is composed first, so that editing a YAML meanwhile changes nothing. No torch: cells
whose result is in the store need no preflight, their record is the proof that they work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from quintain.compose.bind import instantiate
from quintain.compose.cells import Cell, make_cell
from quintain.compose.changed import changed
from quintain.compose.config import Composed, compose_one, composer, option_config
from quintain.compose.diagnose import Uncomposable, first_line
from quintain.compose.errors import UsageError
from quintain.compose.expand import expand
from quintain.compose.preflight import Verdict, light_problems
from quintain.compose.raw import COMPOSE_ERRORS
from quintain.compose.recall import digest, recall
from quintain.compose.settings import Settings, settings_of, wrong_settings

REFERENCE_SEED = 0  # a reference is the same whatever the seed

HOW_TO_SWEEP = "use quintain sweep, or quintain run -m"

Action = Literal["run", "cached", "skipped"]


@dataclass
class Planned:
    """One cell and what will be done with it."""

    cell: Cell
    action: Action
    reason: str = ""
    params: int | None = None


@dataclass
class Plan:
    """All cells of a sweep, in the order in which they will run.

    `name` is a digest of the words and files that made it, see `compose.recall`; `notes` say what
    the datasets found out about the user's files.
    """

    settings: Settings
    cells: list[Planned] = field(default_factory=list)
    name: str | None = None
    notes: list[str] = field(default_factory=list)

    def to_run(self) -> list[Cell]:
        """The cells that are neither cached nor skipped."""
        return [planned.cell for planned in self.cells if planned.action == "run"]

    def to_json(self) -> str:
        return json.dumps({"plan": 1, "cells": [asdict(p) for p in self.cells]}, indent=1)


Lookup = Callable[[Path, str], str | None]
"""(store, key) → status of that cell's record, or None."""

Examine = Callable[[Sequence[Cell], bool], dict[str, Verdict]]
"""Preflight, with devices where the cells run here; the launcher has one in another process."""


def make_plan(
    overrides: Sequence[str],
    status: Lookup,
    examine: Examine,
    *,
    references: bool = True,
    most: int | None = None,
    warm: Callable[[], None] = lambda: None,
) -> Plan:
    """Compose all cells of `overrides` (Hydra's sweep syntax) and look each up.

    Args:
        overrides: what stands on the command line.
        status: looks a cell up.
        examine: preflights the cells that are to run.
        references: add the reference rows of every dataset.
        most: how many configurations the words may make.
        warm: called as soon as it is likely that something will run.

    Raises:
        UsageError: every problem of every cell, each once.
    """
    with composer():
        jobs = expand(overrides)
        if most is not None and len(jobs) > most:
            raise UsageError(
                f"these settings make {len(jobs)} cells; expected {most}: {HOW_TO_SWEEP}"
            )
        settings = _first_settings(jobs)
        name = digest(overrides, references)
        known = recall(plan_file(settings.store, name)) if name else None
        if known and all(status(settings.store, cell.key) == "ok" for cell in known):
            return Plan(settings, [Planned(cell, "cached") for cell in known], name)
        warm()
        composed = compose_all(jobs)
        cells = [freeze(one) for one in composed]
        if references:
            cells += reference_cells(composed)
    return plan_cells(settings, cells, status, examine, name)


def plan_file(store: Path, name: str | None) -> Path:
    """Where a plan is kept; one that has no name of its own gets the moment's."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return store / "plans" / f"{name or f'{moment}-{os.getpid()}'}.json"


def plan_one(composed: Composed, status: Lookup, examine: Examine) -> Plan:
    """The plan of one configuration that Hydra has composed already; Hydra must be up."""
    settings = settings_of(composed.config)
    composed = _with_hardware(composed)
    composed = replace(composed, changed=changed(composed))
    return plan_cells(settings, [freeze(composed)], status, examine)


def plan_cells(
    settings: Settings,
    cells: Sequence[Cell],
    status: Lookup,
    examine: Examine,
    name: str | None = None,
) -> Plan:
    """The plan of these cells, each once: what is in the store, and what preflight says."""
    unique = {cell.key: cell for cell in cells}
    plan = Plan(settings, name=name)
    for key, cell in unique.items():
        done = status(settings.store, key) == "ok"
        plan.cells.append(Planned(cell, "cached" if done else "run"))
    _preflight(plan, examine)
    return plan


def _first_settings(jobs: Sequence[Sequence[str]]) -> Settings:
    """How and where, as the first job says it; raises UsageError with the problems of all jobs."""
    try:
        return settings_of(compose_one(jobs[0]).config)
    except UsageError as error:
        compose_all(jobs)
        raise AssertionError("the first job composed the second time") from error


def compose_all(jobs: Sequence[Sequence[str]]) -> list[Composed]:
    """One configuration a job.

    Raises:
        UsageError: what does not compose, and the values that are wrong beside it.
    """
    composed, problems = [], []
    for job in jobs:
        try:
            one = compose_one(job)
            problems += wrong_settings(one.config)
            composed.append(_with_hardware(one))
        except Uncomposable as error:
            problems += [*error.problems, *_wrong_values(error.mended)]
        except UsageError as error:
            problems += error.problems
    if problems:
        problems += [text for one in composed for text in light_problems(one.config)]
        raise UsageError(dict.fromkeys(problems))
    return [replace(one, changed=changed(one)) for one in composed]


def _wrong_values(mended: Sequence[str]) -> list[str]:
    """What is wrong with words besides what has been told, as far as it shows without torch."""
    try:
        config = compose_one(mended).config
    except UsageError:
        return []
    return [*wrong_settings(config), *light_problems(config)]


def _with_hardware(composed: Composed) -> Composed:
    """With `hardware=auto` replaced by the first option this machine has."""
    node = composed.config["hardware"]
    if "choose_from" not in node:
        return composed
    reasons = []
    for name in node["choose_from"]:
        try:
            candidate = option_config("hardware", name)
        except COMPOSE_ERRORS as error:
            raise UsageError(f"hardware.choose_from: {first_line(error)}") from error
        missing = instantiate(candidate).missing()
        if missing is None:
            choices = composed.choices | {"hardware": name}
            config = composed.config | {"hardware": candidate}
            return replace(composed, config=config, choices=choices)
        reasons.append(f"{name} {missing}")
    raise UsageError(f"hardware={composed.choices['hardware']}: {'; '.join(reasons)}")


def freeze(composed: Composed) -> Cell:
    """The cell of a composed configuration."""
    seed = composed.config["seed"]
    return make_cell(composed.config, composed.choices, seed=seed, changed=composed.changed)


def reference_cells(composed: Sequence[Composed]) -> list[Cell]:
    """The reference rows that the head's card names, for every dataset once."""
    return [
        make_cell(one.config, one.choices, seed=REFERENCE_SEED, reference=name, changed=one.changed)
        for one in composed
        for name in (one.config["head"].get("card") or {}).get("references", [])
    ]


def _preflight(plan: Plan, examine: Examine) -> None:
    cells = plan.to_run()
    verdicts = examine(cells, plan.settings.executor == "local") if cells else {}
    for planned in plan.cells:
        verdict = verdicts.get(planned.cell.key)
        if verdict is None:
            continue
        planned.params = verdict.params
        about = planned.cell.names["dataset"]
        plan.notes += [n for note in verdict.notes if (n := f"{about}: {note}") not in plan.notes]
        planned.cell = replace(planned.cell, width=verdict.width)
        if verdict.skip is not None:
            planned.action, planned.reason = "skipped", verdict.skip
