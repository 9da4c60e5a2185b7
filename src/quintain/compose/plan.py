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
from typing import Any, Literal

from quintain.compose.bind import instantiate
from quintain.compose.cells import Cell, make_cell
from quintain.compose.config import Composed, compose_one, composer, expand, option_config
from quintain.compose.errors import UsageError
from quintain.compose.preflight import Verdict
from quintain.compose.recall import digest, recall

REFERENCE_SEED = 0  # a reference is the same whatever the seed

Action = Literal["run", "cached", "skipped"]


@dataclass(frozen=True)
class Settings:
    """How a sweep runs and where it writes; none of this decides a result."""

    store: Path
    workers: int | None
    time_limit: float | None
    wandb: dict[str, Any]


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

    `name` is a digest of the words and files that made it, see `compose.recall`.
    """

    settings: Settings
    cells: list[Planned] = field(default_factory=list)
    name: str | None = None

    def to_run(self) -> list[Cell]:
        """The cells that are neither cached nor skipped."""
        return [planned.cell for planned in self.cells if planned.action == "run"]

    def to_json(self) -> str:
        return json.dumps({"plan": 1, "cells": [asdict(p) for p in self.cells]}, indent=1)


Lookup = Callable[[Path, str], str | None]
"""(store, key) → status of that cell's record, or None."""

Examine = Callable[[Sequence[Cell]], dict[str, Verdict]]
"""Preflight; the launcher has one that runs in another process."""


def make_plan(
    overrides: Sequence[str],
    status: Lookup,
    examine: Examine,
    *,
    references: bool = True,
    warm: Callable[[], None] = lambda: None,
) -> Plan:
    """Compose all cells of `overrides` (Hydra's sweep syntax) and look each up.

    Args:
        overrides: what stands on the command line.
        status: looks a cell up.
        examine: preflights the cells that are to run.
        references: add the reference rows of every dataset.
        warm: called as soon as it is likely that something will run.

    Raises:
        UsageError: every problem of every cell, each once.
    """
    with composer():
        jobs = expand(overrides)
        settings = settings_of(compose_one(jobs[0]).config)
        name = digest(overrides, references)
        known = recall(plan_file(settings.store, name)) if name else None
        if known and all(status(settings.store, cell.key) == "ok" for cell in known):
            return Plan(settings, [Planned(cell, "cached") for cell in known], name)
        warm()
        composed = _compose_all(jobs)
        cells = [freeze(one) for one in composed]
        if references:
            cells += reference_cells(composed)
    return _plan(settings, cells, status, examine, name)


def plan_file(store: Path, name: str | None) -> Path:
    """Where a plan is kept; one that has no name of its own gets the moment's."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return store / "plans" / f"{name or f'{moment}-{os.getpid()}'}.json"


def plan_one(composed: Composed, status: Lookup, examine: Examine) -> Plan:
    """The plan of one configuration that Hydra has composed already; Hydra must be up."""
    one = Composed(_with_hardware(composed), composed.choices)
    return _plan(settings_of(one.config), [freeze(one)], status, examine)


def _plan(
    settings: Settings,
    cells: Sequence[Cell],
    status: Lookup,
    examine: Examine,
    name: str | None = None,
) -> Plan:
    unique = {cell.key: cell for cell in cells}
    plan = Plan(settings, name=name)
    for key, cell in unique.items():
        done = status(settings.store, key) == "ok"
        plan.cells.append(Planned(cell, "cached" if done else "run"))
    _preflight(plan, examine)
    return plan


def _compose_all(jobs: Sequence[Sequence[str]]) -> list[Composed]:
    composed, problems = [], []
    for job in jobs:
        try:
            one = compose_one(job)
            composed.append(Composed(_with_hardware(one), one.choices))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(dict.fromkeys(problems))
    return composed


def _with_hardware(composed: Composed) -> dict[str, Any]:
    """The configuration with `hardware=auto` replaced by the first option this machine has."""
    node = composed.config["hardware"]
    if "choose_from" not in node:
        return composed.config
    reasons = []
    for name in node["choose_from"]:
        candidate = option_config("hardware", name)
        missing = instantiate(candidate).missing()
        if missing is None:
            composed.choices["hardware"] = name
            return composed.config | {"hardware": candidate}
        reasons.append(f"{name} {missing}")
    raise UsageError(f"hardware={composed.choices['hardware']}: {'; '.join(reasons)}")


def freeze(composed: Composed) -> Cell:
    """The cell of a composed configuration."""
    return make_cell(composed.config, composed.choices, seed=composed.config["seed"])


def reference_cells(composed: Sequence[Composed]) -> list[Cell]:
    """The reference rows that the head's card names, for every dataset once."""
    return [
        make_cell(one.config, one.choices, seed=REFERENCE_SEED, reference=name)
        for one in composed
        for name in (one.config["head"].get("card") or {}).get("references", [])
    ]


def settings_of(config: dict[str, Any]) -> Settings:
    """The part of a configuration that says how and where; raises UsageError."""
    launch, problems = config["launch"], []
    for name in ("workers", "time_limit"):
        value = launch[name]
        if value is not None and not (isinstance(value, int | float) and value > 0):
            problems.append(f"launch.{name} must be above 0 or null, came {value!r}")
    modes = ("auto", "online", "offline", "disabled")
    if config["wandb"]["mode"] not in modes:
        came = config["wandb"]["mode"]
        problems.append(f"wandb.mode must be one of {', '.join(modes)}; came {came!r}")
    if not isinstance(config["seed"], int) or not 0 <= config["seed"] < 2**31:
        problems.append(f"seed must be a whole number from 0 to 2^31 - 1, came {config['seed']!r}")
    if problems:
        raise UsageError(problems)
    return Settings(
        store=Path(os.path.expanduser(str(config["store"]))).absolute(),
        workers=launch["workers"],
        time_limit=launch["time_limit"],
        wandb=config["wandb"],
    )


def _preflight(plan: Plan, examine: Examine) -> None:
    cells = plan.to_run()
    verdicts = examine(cells) if cells else {}
    for planned in plan.cells:
        verdict = verdicts.get(planned.cell.key)
        if verdict is None:
            continue
        planned.params = verdict.params
        planned.cell = replace(planned.cell, width=verdict.width)
        if verdict.skip is not None:
            planned.action, planned.reason = "skipped", verdict.skip
