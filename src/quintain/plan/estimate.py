"""Estimates the costs of a plan: seconds, memory and energy of each cell, from similar runs.

The estimate of a cell is based on the first of these that exists: runs of it with other seeds; runs
with the same dataset, model and hardware, scaled by steps and batch size; a probe, which runs a few
steps of the cell and discards the result. Probes take seconds each, so they run only if they are
requested (`--probe`) or a limit needs them. A cell without any of these has no estimate.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from quintain.errors import UsageError
from quintain.plan.cell import Cell

PROBE_STEPS = 20
PROBE_HINT = " (--probe times a few steps of each)"
SIMILAR = ("dataset", "model", "hardware", "stem", "head")  # groups whose options must be equal

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """The costs of one cell; memory (MiB) and energy are None if unknown, `basis` is for people."""

    seconds: float
    memory_mb: float | None
    energy_kwh: float | None
    basis: str


@dataclass(frozen=True)
class PastRun:
    """The costs of a finished run; `cost` is that of its record."""

    group: str
    names: Json
    batch_size: int
    params: int | None
    cost: Json


def similarity_key(names: Json) -> tuple[Any, ...]:
    """Return a key that is the same for cells with similar costs."""
    return tuple(names.get(part) for part in SIMILAR)


def estimate_groups(cells: Iterable[Cell], runs: Sequence[PastRun]) -> dict[str, Estimate]:
    """Return group → estimate for each group with similar runs."""
    repeats: dict[str, list[PastRun]] = {}
    similar: dict[tuple[Any, ...], list[PastRun]] = {}
    for run in runs:
        repeats.setdefault(run.group, []).append(run)
        similar.setdefault(similarity_key(run.names), []).append(run)
    estimates: dict[str, Estimate] = {}
    for cell in {cell.group: cell for cell in cells}.values():
        if same := repeats.get(cell.group):
            estimates[cell.group] = _average(same, cell, f"{_count(len(same))} of it in the store")
        elif chosen := _prefer_same_size(cell, similar.get(similarity_key(cell.names), [])):
            basis = (
                f"{_count(len(chosen))} of {cell.names['dataset']}/{cell.names['model']} in the"
                " store, scaled by steps"
            )
            estimates[cell.group] = _average(chosen, cell, basis)
    return estimates


def estimate_from_probe(cell: Cell, probe: PastRun) -> Estimate:
    """Return the estimate of a cell from a run of a few of its steps."""
    return _average([probe], cell, f"a probe of {probe.cost.get('steps') or 'a few'} steps")


def _count(number: int) -> str:
    return f"{number} run{'s' if number > 1 else ''}"


def _prefer_same_size(cell: Cell, runs: Sequence[PastRun]) -> list[PastRun]:
    """Return the runs with the same `budget.params` if there are any, else all."""
    params = _budget(cell).get("params")
    return [run for run in runs if run.params == params] or [*runs]


def _budget(cell: Cell) -> Json:
    return cell.config.get("budget", {})


def _average(runs: Sequence[PastRun], cell: Cell, basis: str) -> Estimate:
    """Return mean seconds and energy and the largest memory of runs, scaled to a cell's budget."""
    budget = _budget(cell)
    energy = [
        float(run.cost["energy_kwh"]) * _training_factor(run, budget)
        for run in runs
        if run.cost.get("energy_kwh") is not None
    ]
    peaks = [(run.cost.get("memory_mb") or {}).get("host_peak") for run in runs]
    memory = [float(peak) for peak in peaks if peak is not None]
    return Estimate(
        seconds=round(fmean(_scale_seconds(run, budget) for run in runs), 2),
        memory_mb=round(max(memory)) if memory else None,
        energy_kwh=round(fmean(energy), 6) if energy else None,
        basis=basis,
    )


def _training_factor(run: PastRun, budget: Json) -> float:
    """Return training time with this budget divided by that of the run.

    It is the ratio of the numbers of samples, limited by `budget.seconds`.
    """
    samples = float(budget.get("steps") or 0) * float(budget.get("batch_size") or 0)
    run_samples = float((run.cost.get("steps") or 0) * run.batch_size)
    factor = samples / run_samples if run_samples and samples else 1.0
    training = float(run.cost["seconds"]["training"])
    if budget.get("seconds") and training > 0:
        return min(factor, float(budget["seconds"]) / training)
    return factor


def _scale_seconds(run: PastRun, budget: Json) -> float:
    """Return the seconds of a run, scaled to another budget."""
    seconds = run.cost["seconds"]
    training = seconds["training"] * _training_factor(run, budget)
    passes = run.cost.get("validations") or _validation_passes(budget) or 1
    validation = seconds["validation"] * (_validation_passes(budget) or passes) / passes
    rest = seconds["total"] - seconds["training"] - seconds["validation"]
    return float(max(0.0, rest) + training + validation)


def _validation_passes(budget: Json) -> int:
    """Return how often the model is validated: at most once per step."""
    validations, steps = (int(budget.get(name) or 0) for name in ("validations", "steps"))
    return min(validations, steps) if steps else validations


@dataclass(frozen=True)
class Totals:
    """The total costs of the cells that will run.

    `unknown` cells have no estimate, `unmetered` cells no estimate of the energy. `wall_hours` is
    the time with `workers` slots, in the plan's order.
    """

    cells: int
    unknown: int
    serial_hours: float
    wall_hours: float
    workers: int
    memory_mb: float | None
    energy_kwh: float | None
    unmetered: int

    def describe(self) -> str:
        """Return the totals as one line for the terminal."""
        if self.cells == self.unknown:
            return f"no estimate for the {self.cells} to run: no similar run is known{PROBE_HINT}"
        memory = f", peak memory of one {self.memory_mb:,.0f} MiB" if self.memory_mb else ""
        energy = "" if self.energy_kwh is None else f", {self.energy_kwh:.3g} kWh"
        text = (
            f"estimate: {format_hours(self.serial_hours)} in all, {format_hours(self.wall_hours)}"
            f" with {self.workers} at a time{memory}{energy}"
        )
        if self.unknown:
            text += f"; {self.unknown} cells without an estimate{PROBE_HINT}"
        return text


def format_hours(value: float) -> str:
    """Format a number of hours: 0.0125 → `45 s`."""
    seconds = value * 3600
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{value:.1f} h"


def compute_totals(
    estimates: Sequence[Estimate | None],
    workers: int,
    slots: Sequence[int | None] | None = None,
) -> Totals:
    """Return the totals of the cells that will run, with `workers` slots in all.

    `estimates` are in the order in which the cells run. `slots` are the slots that each needs, by
    default 1; None stands for a cell that runs alone after the others.
    """
    known = [estimate for estimate in estimates if estimate is not None]
    free_at, exclusive = [0.0] * max(1, workers), 0.0  # seconds
    for estimate, needed in zip(estimates, slots or [1] * len(estimates), strict=True):
        if estimate is not None and needed is None:
            exclusive += estimate.seconds
        elif estimate is not None and needed is not None:
            starts = [heapq.heappop(free_at) for _ in range(min(needed, len(free_at)))]
            for _ in starts:
                heapq.heappush(free_at, max(starts) + estimate.seconds)
    memory = [estimate.memory_mb for estimate in known if estimate.memory_mb is not None]
    energy = [estimate.energy_kwh for estimate in known if estimate.energy_kwh is not None]
    return Totals(
        cells=len(estimates),
        unknown=len(estimates) - len(known),
        serial_hours=sum(estimate.seconds for estimate in known) / 3600,
        wall_hours=(max(free_at) + exclusive) / 3600,
        workers=workers,
        memory_mb=max(memory, default=None),
        energy_kwh=sum(energy) if energy else None,
        unmetered=len(estimates) - len(energy),
    )


def check_limits(
    totals: Totals, bases: Iterable[str], max_hours: float | None, max_kwh: float | None
) -> None:
    """Raise UsageError if a plan exceeds a limit, or if its costs are not known."""
    if not totals.cells:
        return
    basis = "; ".join(sorted(set(bases))[:3]) or "nothing"
    advice = "fewer cells, fewer steps (budget.steps) or a higher limit"
    problems = []
    if max_hours is not None and totals.wall_hours > max_hours:
        problems.append(
            f"max_hours={max_hours:g}: {totals.cells} cells take about {totals.wall_hours:.3g} h"
            f" with {totals.workers} at a time ({totals.serial_hours:.3g} h in all), estimated from"
            f" {basis};"
            f" choose {advice}, or more workers (launch.workers)"
        )
    if max_hours is not None and totals.unknown:
        problems.append(
            f"max_hours={max_hours:g}: {totals.unknown} of {totals.cells} cells have no estimate,"
            " not even from a probe; run one of them to see why, or leave max_hours out"
        )
    if max_kwh is not None and totals.unmetered:
        problems.append(
            f"max_kwh={max_kwh:g}: for {totals.unmetered} of {totals.cells} cells the energy is"
            " not known, because no run has measured it: this needs a counter, of the CPU (RAPL)"
            " or of an NVIDIA GPU, that this user may read; leave max_kwh out"
        )
    elif max_kwh is not None and (totals.energy_kwh or 0.0) > max_kwh:
        problems.append(
            f"max_kwh={max_kwh:g}: {totals.cells} cells take about {totals.energy_kwh:.3g} kWh,"
            f" estimated from {basis}; choose {advice}"
        )
    if problems:
        raise UsageError(problems)
