"""The frozen list of what a sweep will do, made before anything runs.

Every cell is composed first, so that editing a YAML meanwhile changes nothing. No torch: cells
whose result is in the store need no preflight, their record is the proof that they work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import quintain
from quintain.compose import planfile
from quintain.compose.cells import RESULTS_VERSION, Cell
from quintain.compose.changed import changed
from quintain.compose.config import Composed, composer
from quintain.compose.errors import UsageError
from quintain.compose.estimate import Estimate, Totals, plain
from quintain.compose.expand import expand
from quintain.compose.jobs import cells_of, first_settings, freeze, with_hardware
from quintain.compose.preflight import Verdict
from quintain.compose.recall import digest, recall
from quintain.compose.settings import Settings, settings_of

HOW_TO_SWEEP = "use quintain sweep, or quintain run -m"

Action = Literal["run", "cached", "skipped", "left"]


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
    the datasets found out about the user's files; `words` are what stood on the command line;
    `force` runs what is in the store, too.
    """

    settings: Settings
    cells: list[Planned] = field(default_factory=list)
    name: str | None = None
    notes: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    totals: Totals | None = None
    force: bool = False

    def to_run(self) -> list[Cell]:
        """The cells that are neither cached nor skipped."""
        return [planned.cell for planned in self.cells if planned.action == "run"]

    def to_json(self) -> str:
        """The plan's file, see `compose.planfile`."""
        return json.dumps(self.content(), indent=1)

    def content(self) -> dict[str, Any]:
        """What the plan's file holds, as plain values."""
        writer = planfile.Writer()
        cells = []
        for planned in self.cells:
            cell = planned.cell
            estimate = plain(self.estimates.get(cell.group))
            group = writer.group(cell, params=planned.params, estimate=estimate)
            entry = {"key": cell.key, "group": group, "seed": cell.seed, "action": planned.action}
            cells.append(entry | ({"reason": planned.reason} if planned.reason else {}))
        return {
            "plan": planfile.FORMAT,
            "quintain": quintain.__version__,
            "results_version": RESULTS_VERSION,
            "words": self.words,
            "settings": self.settings.table,
            "notes": self.notes,
            "totals": asdict(self.totals) if self.totals else None,
            "parts": writer.parts,
            "groups": writer.groups,
            "cells": cells,
        }


Lookup = Callable[[Path, Sequence[str]], Mapping[str, str]]
"""(store, keys) → the status of each cell that has a record."""

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
        settings = first_settings(jobs)
        name = digest(overrides, references)
        known = recall(plan_file(settings.store, name)) if name else None
        if known and set(_ok(status, settings.store, known)) == {cell.key for cell in known}:
            cached = [Planned(cell, "cached") for cell in known]
            return Plan(settings, cached, name, words=[*overrides])
        warm()
        cells = cells_of(jobs, references)
    plan = plan_cells(settings, cells, status, examine, name)
    plan.words = [*overrides]
    return plan


def plan_file(store: Path, name: str | None) -> Path:
    """Where a plan is kept; one that has no name of its own gets the moment's."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return store / "plans" / f"{name or f'{moment}-{os.getpid()}'}.json"


def plan_one(composed: Composed, status: Lookup, examine: Examine) -> Plan:
    """The plan of one configuration that Hydra has composed already; Hydra must be up."""
    settings = settings_of(composed.config)
    composed = with_hardware(composed)
    composed = replace(composed, changed=changed(composed))
    return plan_cells(settings, [freeze(composed)], status, examine)


def _ok(status: Lookup, store: Path, cells: Sequence[Cell]) -> set[str]:
    found = status(store, [cell.key for cell in cells])
    return {key for key, text in found.items() if text == "ok"}


def plan_cells(
    settings: Settings,
    cells: Sequence[Cell],
    status: Lookup,
    examine: Examine,
    name: str | None = None,
) -> Plan:
    """The plan of these cells, each once: what is in the store, and what preflight says."""
    cells = [*{cell.key: cell for cell in cells}.values()]
    done = _ok(status, settings.store, cells)
    plan = Plan(settings, name=name)
    plan.cells += [Planned(cell, "cached" if cell.key in done else "run") for cell in cells]
    _preflight(plan, examine)
    return plan


def _preflight(plan: Plan, examine: Examine) -> None:
    """Look at one cell of each group that is to run; what is found holds for its repeats."""
    first = {cell.group: cell for cell in reversed(plan.to_run())}
    verdicts = (
        examine([*reversed(first.values())], plan.settings.executor == "local") if first else {}
    )
    for planned in plan.cells:
        cell = planned.cell
        if planned.action != "run" or cell.group not in first:
            continue
        verdict = verdicts[first[cell.group].key]
        planned.params = verdict.params
        about = cell.names["dataset"]
        plan.notes += [n for note in verdict.notes if (n := f"{about}: {note}") not in plan.notes]
        planned.cell = replace(cell, width=verdict.width)
        if verdict.skip is not None:
            planned.action, planned.reason = "skipped", verdict.skip
