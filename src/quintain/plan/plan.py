"""Makes the plan of a sweep: which of its cells run, decided before the first one starts.

All cells are composed first, so that later edits of YAML files change none of them. Nothing here
imports torch: a cell whose result is in the store needs no preflight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from quintain._version import __version__
from quintain.compose.config import Composition, hydra_session
from quintain.compose.overrides import check_hydra_settings, expand_overrides, explained_words
from quintain.compose.settings import Settings, read_settings
from quintain.errors import UsageError
from quintain.plan import plan_file
from quintain.plan.cell import KEY_LENGTH, RESULTS_VERSION, Cell
from quintain.plan.cell_factory import (
    add_non_defaults,
    make_cells,
    make_first_cell,
    make_run_cell,
    resolve_hardware,
)
from quintain.plan.estimate import Estimate, Totals
from quintain.plan.labels import add_variants
from quintain.plan.preflight import PreflightResult

SWEEP_HINT = "use quintain sweep, or quintain run -m"

Action = Literal["run", "cached", "skipped", "excluded"]


class PlanServices(Protocol):
    """Services that planning needs and that `launch.planning` implements."""

    def warm_up(self) -> None:
        """Prepare preflight in the background, because a cell is likely to run."""

    def read_statuses(self, store: Path, keys: Sequence[str]) -> Mapping[str, str]:
        """Return key → status for each cell that has a record in the store."""

    def preflight(
        self, cells: Sequence[Cell], check_devices: bool = True
    ) -> Mapping[str, PreflightResult]:
        """Return key → result, as `plan.preflight.preflight_cells` does."""


@dataclass
class PlannedCell:
    """A cell, whether it runs and why not."""

    cell: Cell
    action: Action
    reason: str = ""
    params: int | None = None


@dataclass
class Plan:
    """All cells of a sweep, in the order in which they run.

    Attributes:
        settings: how and where the cells run.
        cells: each with its action.
        name: of the plan's file; None: a hash of the cells.
        notes: remarks of the datasets about the user's files.
        overrides: from the command line.
        estimates: group → estimate of each cell, if there is one.
        totals: of the cells to run.
        force: run also cells whose result is in the store.
    """

    settings: Settings
    cells: list[PlannedCell] = field(default_factory=list)
    name: str | None = None
    notes: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    totals: Totals | None = None
    force: bool = False

    def to_run(self) -> list[Cell]:
        """Return the cells that will run."""
        return [planned.cell for planned in self.cells if planned.action == "run"]

    @property
    def path(self) -> Path:
        """The plan's file in the store; a plan of the same cells has the same file."""
        keys = "".join(planned.cell.key for planned in self.cells)
        name = self.name or hashlib.sha256(keys.encode()).hexdigest()[:KEY_LENGTH]
        return self.settings.store / plan_file.FOLDER / f"{name}.json"

    def to_json(self) -> str:
        """Return the content of the plan's file, see `plan.plan_file`."""
        writer = plan_file.PlanWriter()
        cells = []
        for planned in self.cells:
            cell = planned.cell
            estimate = self.estimates.get(cell.group)
            estimate_values = None if estimate is None else asdict(estimate)
            group = writer.add_group(cell, params=planned.params, estimate=estimate_values)
            entry = {"key": cell.key, "group": group, "seed": cell.seed, "action": planned.action}
            cells.append(entry | ({"reason": planned.reason} if planned.reason else {}))
        content = {
            "plan": plan_file.FORMAT,
            "quintain": __version__,
            "results_version": RESULTS_VERSION,
            "overrides": self.overrides,
            "settings": self.settings.config,
            "notes": self.notes,
            "totals": asdict(self.totals) if self.totals else None,
            "parts": writer.parts,
            "groups": writer.groups,
            "cells": cells,
        }
        return json.dumps(content, indent=1)


def make_plan(
    overrides: Sequence[str],
    services: PlanServices,
    *,
    baselines: bool = True,
    max_cells: int | None = None,
    force: bool = False,
    hint: str = SWEEP_HINT,
) -> Plan:
    """Compose all cells of `overrides`, look each up in the store, and check those that will run.

    Args:
        overrides: from the command line, in Hydra's sweep syntax.
        services: statuses of the store, and preflight.
        baselines: add the baselines of every dataset.
        max_cells: largest number of configurations, without baselines.
        force: run also cells whose result is in the store.
        hint: what to do if there are more configurations.

    Raises:
        UsageError: with every problem of every cell, each once.
    """
    check_hydra_settings(overrides)
    with explained_words(overrides):
        with hydra_session():
            jobs = expand_overrides(overrides)
            if max_cells is not None and len(jobs) > max_cells:
                raise UsageError(
                    f"these settings make {len(jobs)} cells; expected {max_cells}: {hint}"
                )
            settings, first = make_first_cell(jobs)
            # Preflight imports torch, which takes seconds; it does so while cells are composed.
            if force or not _find_finished([first], settings.store, services):
                services.warm_up()
            cells = make_cells(jobs, baselines)
        plan = plan_cells(settings, cells, services, force=force)
    plan.overrides = [*overrides]
    return plan


def plan_composition(composition: Composition, services: PlanServices) -> Plan:
    """Return the plan of one configuration that Hydra has composed; Hydra must be initialised."""
    settings = read_settings(composition.config)
    cell = make_run_cell(add_non_defaults(resolve_hardware(composition)))
    return plan_cells(settings, [cell], services)


def plan_cells(
    settings: Settings, cells: Sequence[Cell], services: PlanServices, *, force: bool = False
) -> Plan:
    """Return the plan of these cells, each once.

    Cells with a result in the store are cached, unless `force`; the others pass preflight.

    Raises:
        UsageError: with every problem that preflight finds.
    """
    cells = add_variants([*{cell.key: cell for cell in cells}.values()])
    finished = set() if force else _find_finished(cells, settings.store, services)
    planned = [PlannedCell(c, "cached" if c.key in finished else "run") for c in cells]
    plan = Plan(settings, planned, force=force)
    _preflight(plan, services)
    return plan


def _find_finished(cells: Sequence[Cell], store: Path, services: PlanServices) -> set[str]:
    statuses = services.read_statuses(store, [cell.key for cell in cells])
    return {key for key, status in statuses.items() if status == "ok"}


def _preflight(plan: Plan, services: PlanServices) -> None:
    """Check one cell of each group that will run; the result applies to all cells of the group."""
    representatives = {cell.group: cell for cell in reversed(plan.to_run())}
    if not representatives:
        return
    is_local = plan.settings.executor == "local"
    results = services.preflight([*reversed(representatives.values())], is_local)
    for planned in plan.cells:
        if planned.action != "run":
            continue
        cell = planned.cell
        result = results[representatives[cell.group].key]
        planned.params = result.params
        for note in result.notes:
            if (text := f"{cell.names['dataset']}: {note}") not in plan.notes:
                plan.notes.append(text)
        planned.cell = replace(cell, width=result.width)
        if result.skip is not None:
            planned.action, planned.reason = "skipped", result.skip
