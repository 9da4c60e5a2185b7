"""Estimates for a plan, by the store's records and, where needed, by probes; checks the limits."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection

from quintain.compose.cells import Cell
from quintain.compose.estimate import (
    PROBE_STEPS,
    Past,
    check_limits,
    estimates,
    like,
    probed,
    totals,
)
from quintain.compose.plan import Plan
from quintain.compose.settings import Settings
from quintain.launch.executors import workers_of
from quintain.launch.past import past, past_of
from quintain.launch.resources import slots_of
from quintain.launch.server import context, warm
from quintain.records.store import Store

PROBE_LIMIT = 300.0  # seconds; a probe that takes longer tells nothing


def forecast(
    plan: Plan, *, probe: bool = False, prober: Callable[[Cell], Past | str] | None = None
) -> None:
    """Fill in a plan's estimates and totals.

    Args:
        plan: whose cells to run are estimated.
        probe: run a few steps of what no record tells about; a limit asks for it by itself.
        prober: runs them, in a fork of the warm server if None.

    Raises:
        UsageError: the plan is over its limits.
    """
    cells, settings = plan.to_run(), plan.settings
    if not cells:
        return
    limited = settings.max_hours is not None or settings.max_kwh is not None
    wanted = {like(cell.names) for cell in cells}
    known = estimates(cells, past(Store(settings.store), wanted))
    if probe or limited:
        for cell in _unknown(cells, set(known)):
            found = (prober or run_probe)(cell)
            if isinstance(found, str):
                plan.notes.append(f"{cell.label}: no estimate, its probe failed: {found}")
                continue
            for other in cells:
                if other.group not in known and _kind(other) == _kind(cell):
                    known[other.group] = probed(other, found)
    plan.estimates = known
    workers = workers_of(settings, len(cells))
    each = [known.get(cell.group) for cell in cells]
    plan.totals = totals(each, workers, [_slots(cell, settings) for cell in cells])
    bases = [one.basis for one in each if one is not None]
    check_limits(plan.totals, bases, settings.max_hours, settings.max_kwh)


def _slots(cell: Cell, settings: Settings) -> int | None:
    """Workers that a cell takes; a scheduler's are jobs, whatever each of them asks for."""
    if cell.alone:
        return None
    return slots_of(cell) if settings.executor == "local" else 1


def _kind(cell: Cell) -> tuple[object, ...]:
    """One probe serves cells of one kind, whatever their seeds, steps and learning rates."""
    budget = cell.config.get("budget", {})
    return *like(cell.names), budget.get("params"), budget.get("batch_size"), cell.width


def _unknown(cells: Sequence[Cell], known: set[str]) -> list[Cell]:
    return [*{_kind(cell): cell for cell in cells if cell.group not in known}.values()]


def run_probe(cell: Cell) -> Past | str:
    """A few steps of a cell in a fork of the server; what they cost, or why that is not known."""
    warm()
    ours, theirs = context().Pipe(duplex=False)
    child = context().Process(target=_probe, args=(_short(cell).to_json(), theirs))
    child.start()
    theirs.close()
    try:
        if not ours.poll(PROBE_LIMIT):
            return f"it took longer than {PROBE_LIMIT:g} s"
        answer = ours.recv()
    except EOFError:
        return "its process ended without a word"
    finally:
        ours.close()
        child.kill()
        child.join()
    return answer if isinstance(answer, Past | str) else "it gave no answer"


def _short(cell: Cell) -> Cell:
    if cell.reference:
        return cell  # it has no steps: the probe is the whole of it
    steps = min(PROBE_STEPS, cell.config["budget"].get("steps") or PROBE_STEPS)
    budget = cell.config["budget"] | {"steps": steps, "validations": 1}
    return replace(cell, config=cell.config | {"budget": budget})


def _probe(cell_json: str, parent: Connection) -> None:
    from quintain.launch.worker import follow_parent
    from quintain.run.attempt import attempt

    os.setsid()
    follow_parent()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    record = attempt(Cell.from_json(cell_json))
    answer: Past | str = record.error.message if record.error else record.reason or ""
    if record.status == "ok":
        answer = _steady(past_of(record))
    with contextlib.suppress(OSError):  # the parent may have been interrupted
        parent.send(answer)


def _steady(one: Past) -> Past:
    """With training by the median step: the first ones also warm everything up."""
    if not one.cost.get("step_ms"):
        return one
    seconds = dict(one.cost["seconds"])
    median = one.cost["step_ms"]["p50"] * one.cost["steps"] / 1e3
    seconds["total"] += median - seconds["training"]
    seconds["training"] = median
    return replace(one, cost={**one.cost, "seconds": seconds})
