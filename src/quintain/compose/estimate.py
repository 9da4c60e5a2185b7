"""What a plan will take: seconds, memory and energy of each cell, from what like cells took.

A cell's estimate rests on, in this order: repeats of it with other seeds; cells of the same
dataset, model and hardware, their training scaled by steps and batch size; a probe, which is the
cell itself for a few steps, thrown away afterwards. Probes cost seconds each and are made only when
asked for (`--probe`) or where a limit needs them. Nothing is guessed beyond that: a cell that
nothing is known of has no estimate, and the totals say for how many cells they stand.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError

PROBE_STEPS = 20
LIKE = ("dataset", "model", "hardware", "stem", "head")  # the options that like cells share

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """What one cell will take; `basis` says what that rests on. MiB, kWh; None: not known."""

    seconds: float
    memory_mb: float | None
    energy_kwh: float | None
    basis: str


@dataclass(frozen=True)
class Past:
    """What an earlier record tells of a cell's cost."""

    group: str
    names: Json
    batch_size: int
    params: int | None
    cost: Json

    @property
    def trained(self) -> float:
        """Samples that were trained on, which training and validation are taken to grow with."""
        return float((self.cost.get("steps") or 0) * self.batch_size)


Probe = Callable[[Sequence[Cell]], Mapping[str, Past | str]]
"""Cells, one of each kind → key → what a few steps of it cost, or why that could not be told."""


def like(names: Json) -> tuple[Any, ...]:
    """Cells with the same are alike enough for one to tell about the other."""
    return tuple(names.get(part) for part in LIKE)


def estimates(cells: Iterable[Cell], past: Sequence[Past]) -> dict[str, Estimate]:
    """Group → estimate, of those groups that something is known of."""
    groups: dict[str, list[Past]] = {}
    alike: dict[tuple[Any, ...], list[Past]] = {}
    for one in past:
        groups.setdefault(one.group, []).append(one)
        alike.setdefault(like(one.names), []).append(one)
    found: dict[str, Estimate] = {}
    for cell in {cell.group: cell for cell in cells}.values():
        if same := groups.get(cell.group):
            found[cell.group] = _mean(same, cell, f"{_count(len(same))} of it in the store")
        elif others := _nearest(cell, alike.get(like(cell.names), [])):
            words = f"{_count(len(others))} of {cell.names['dataset']}/{cell.names['model']}"
            found[cell.group] = _mean(others, cell, f"{words} in the store, scaled by steps")
    return found


def probed(cell: Cell, one: Past) -> Estimate:
    """The estimate of a cell of which a few steps were run."""
    return _mean([one], cell, f"a probe of {one.cost.get('steps') or 'a few'} steps")


def _count(number: int) -> str:
    return f"{number} run{'s' if number > 1 else ''}"


def _nearest(cell: Cell, alike: Sequence[Past]) -> list[Past]:
    """Of like cells, those with the same number of parameters asked for, if there are such."""
    asked = _budget(cell).get("params")
    return [one for one in alike if one.params == asked] or [*alike]


def _budget(cell: Cell) -> Json:
    return cell.config.get("budget", {})


def _mean(past: Sequence[Past], cell: Cell, basis: str) -> Estimate:
    budget = _budget(cell)
    trained = float(budget.get("steps") or 0) * float(budget.get("batch_size") or 0)
    seconds = [_scaled(one, trained, budget) for one in past]
    memory = [m for one in past if (m := _peak(one)) is not None]
    energy = [
        float(one.cost["energy_kwh"]) * _lasting(one, trained, budget)
        for one in past
        if one.cost.get("energy_kwh") is not None
    ]
    return Estimate(
        seconds=round(fmean(seconds), 2),
        memory_mb=round(max(memory)) if memory else None,
        energy_kwh=round(fmean(energy), 6) if energy else None,
        basis=basis,
    )


def _ratio(one: Past, trained: float) -> float:
    return trained / one.trained if one.trained and trained else 1.0


def _lasting(one: Past, trained: float, budget: Json) -> float:
    """How many times as long the training lasts; a budget of seconds ends it."""
    before, ratio = float(one.cost["seconds"]["training"]), _ratio(one, trained)
    if budget.get("seconds") and before > 0:
        return min(ratio, float(budget["seconds"]) / before)
    return ratio


def _scaled(one: Past, trained: float, budget: Json) -> float:
    """Seconds; training grows with the samples, validation with how often it is read."""
    clocks = one.cost["seconds"]
    training = clocks["training"] * _lasting(one, trained, budget)
    reads = one.cost.get("validations") or _reads(budget) or 1
    validation = clocks["validation"] * (_reads(budget) or reads) / reads
    rest = clocks["total"] - clocks["training"] - clocks["validation"]
    return float(max(0.0, rest) + training + validation)


def _reads(budget: Json) -> int:
    """How often validation is read: once a step at most."""
    asked, steps = (int(budget.get(name) or 0) for name in ("validations", "steps"))
    return min(asked, steps) if steps else asked


def _peak(one: Past) -> float | None:
    value = (one.cost.get("memory_mb") or {}).get("host_peak")
    return None if value is None else float(value)


@dataclass(frozen=True)
class Totals:
    """What the cells to run take together; `unknown` of them have no estimate, `unmetered` no kWh.

    `wall_hours` is with `workers` at a time, in the plan's order.
    """

    cells: int
    unknown: int
    serial_hours: float
    wall_hours: float
    workers: int
    memory_mb: float | None
    energy_kwh: float | None
    unmetered: int

    def sentence(self) -> str:
        """For people."""
        if self.cells == self.unknown:
            return f"no estimate for the {self.cells} to run: no run like them is known" + _PROBE
        memory = f", peak memory of one {self.memory_mb:,.0f} MiB" if self.memory_mb else ""
        energy = "" if self.energy_kwh is None else f", {self.energy_kwh:.3g} kWh"
        words = (
            f"estimate: {hours(self.serial_hours)} in all, {hours(self.wall_hours)} with"
            f" {self.workers} at a time{memory}{energy}"
        )
        return words + (
            f"; {self.unknown} cells without an estimate{_PROBE}" if self.unknown else ""
        )


_PROBE = " (--probe times a few steps of each)"


def hours(value: float) -> str:
    """0.0125 → `45 s`."""
    seconds = value * 3600
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{value:.1f} h"


def totals(
    each: Sequence[Estimate | None], workers: int, slots: Sequence[int | None] | None = None
) -> Totals:
    """Of the cells to run, in their order.

    Args:
        each: what each takes.
        workers: how many slots there are.
        slots: that each takes while it runs, 1 if left out; None of one that runs alone, after the
            others.
    """
    known = [one for one in each if one is not None]
    free, last = [0.0] * max(1, workers), 0.0
    for one, wanted in zip(each, slots or [1] * len(each), strict=True):
        if one is not None and wanted is None:
            last += one.seconds
        elif one is not None and wanted is not None:
            taken = [heapq.heappop(free) for _ in range(min(wanted, len(free)))]
            for _ in taken:
                heapq.heappush(free, max(taken) + one.seconds)
    memory = [one.memory_mb for one in known if one.memory_mb is not None]
    energy = [one.energy_kwh for one in known if one.energy_kwh is not None]
    return Totals(
        cells=len(each),
        unknown=len(each) - len(known),
        serial_hours=sum(one.seconds for one in known) / 3600,
        wall_hours=(max(free) + last) / 3600,
        workers=workers,
        memory_mb=max(memory, default=None),
        energy_kwh=sum(energy) if energy else None,
        unmetered=len(each) - len(energy),
    )


def check_limits(
    found: Totals, bases: Iterable[str], max_hours: float | None, max_kwh: float | None
) -> None:
    """Raises UsageError where a plan takes more than it may, or nobody can say."""
    if not found.cells:
        return
    rests = "; ".join(sorted(set(bases))[:3]) or "nothing"
    change = "fewer cells, fewer steps (budget.steps) or a higher limit"
    problems = []
    if max_hours is not None and found.wall_hours > max_hours:
        problems.append(
            f"max_hours={max_hours:g}: {found.cells} cells take about {found.wall_hours:.3g} h with"
            f" {found.workers} at a time ({found.serial_hours:.3g} h in all), by {rests};"
            f" choose {change}, or more workers (launch.workers)"
        )
    if max_hours is not None and found.unknown:
        problems.append(
            f"max_hours={max_hours:g}: {found.unknown} of {found.cells} cells have no estimate,"
            " not even by a probe; run one of them to see why, or leave max_hours out"
        )
    if max_kwh is not None and found.unmetered:
        problems.append(
            f"max_kwh={max_kwh:g}: of {found.unmetered} of {found.cells} cells the energy is not"
            " known: nothing here has measured it; leave max_kwh out (quintain doctor says why)"
        )
    elif max_kwh is not None and (found.energy_kwh or 0.0) > max_kwh:
        problems.append(
            f"max_kwh={max_kwh:g}: {found.cells} cells take about {found.energy_kwh:.3g} kWh,"
            f" by {rests}; choose {change}"
        )
    if problems:
        raise UsageError(problems)


def plain(one: Estimate | None) -> dict[str, Any] | None:
    """For the plan's file."""
    return None if one is None else asdict(one)
