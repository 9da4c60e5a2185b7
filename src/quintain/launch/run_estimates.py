"""Estimate the time and energy of a plan from earlier records and probes, and check its limits."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any, cast

from quintain.launch.fork_server import ForkedCall
from quintain.launch.resources import count_workers, required_slots
from quintain.plan.cell import Cell
from quintain.plan.estimate import (
    PROBE_STEPS,
    PastRun,
    check_limits,
    compute_totals,
    estimate_from_probe,
    estimate_groups,
    similarity_key,
)
from quintain.plan.plan import Plan
from quintain.records.filesystem import read_regular_file
from quintain.records.store import Store

PROBE_TIMEOUT = 300.0  # seconds
RECORD_FIELDS = ("group", "names", "cell", "cost")


def add_estimates(plan: Plan, *, probe: bool = False) -> None:
    """Set the estimates and totals of a plan.

    Args:
        plan: the plan, changed in place.
        probe: whether to run a few steps of cells without similar records; a plan with a limit
            always does.

    Raises:
        UsageError: the plan exceeds its limits.
    """
    cells, settings = plan.to_run(), plan.settings
    if not cells:
        return
    has_limits = settings.max_hours is not None or settings.max_kwh is not None
    keys = {similarity_key(cell.names) for cell in cells}
    estimates = estimate_groups(cells, _read_past_runs(Store(settings.store), keys))
    if probe or has_limits:
        unknown = {_probe_key(cell): cell for cell in cells if cell.group not in estimates}
        for cell in unknown.values():
            past_run = _probe(cell)
            if isinstance(past_run, str):
                plan.notes.append(f"{cell.label}: no estimate, its probe failed: {past_run}")
                continue
            for similar in cells:
                if similar.group not in estimates and _probe_key(similar) == _probe_key(cell):
                    estimates[similar.group] = estimate_from_probe(similar, past_run)
    plan.estimates = estimates
    workers = count_workers(settings, len(cells))
    by_cell = [estimates.get(cell.group) for cell in cells]
    count_slots = required_slots if settings.executor == "local" else lambda cell: 1
    slots = [
        None if cell.exclusive else count_slots(cell) for cell in cells
    ]  # None: the cell takes all
    plan.totals = compute_totals(by_cell, workers, slots)
    bases = [estimate.basis for estimate in by_cell if estimate is not None]
    check_limits(plan.totals, bases, settings.max_hours, settings.max_kwh)


def _read_past_runs(store: Store, keys: Container[tuple[Any, ...]]) -> list[PastRun]:
    """Return the finished runs whose `similarity_key` is in `keys`; skip unreadable records."""
    past_runs = []
    for file in store.files():
        try:
            text = read_regular_file(file)
            header = _read_fields(text, ("status", "names"))
            if header["status"] == "ok" and similarity_key(header["names"]) in keys:
                past_runs.append(_to_past_run(_read_fields(text, RECORD_FIELDS)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return past_runs


def _read_fields(text: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Return fields from the text of a record, which has a line per field.

    Parsing whole records, of up to 100 kB each, would take much longer.
    """
    fields = {}
    for name in names:
        prefix = f'\n "{name}": '.encode()
        start = text.index(prefix) + len(prefix)
        fields[name] = json.loads(text[start : text.index(b"\n", start)].removesuffix(b","))
    return fields


def _to_past_run(record: dict[str, Any]) -> PastRun:
    budget = record["cell"].get("budget") or {}
    cost = record["cost"] | {"validations": budget.get("validations")}
    cost["seconds"]["total"]  # raises KeyError or TypeError for a record without times
    return PastRun(
        group=record["group"],
        names=record["names"],
        batch_size=int(budget.get("batch_size") or 0),
        params=budget.get("params"),
        cost=cost,
    )


def _probe_key(cell: Cell) -> tuple[object, ...]:
    """Return what the cost depends on: one probe serves all cells with the same key."""
    budget = cell.config.get("budget", {})
    return *similarity_key(cell.names), budget.get("params"), budget.get("batch_size"), cell.width


def _probe(cell: Cell) -> PastRun | str:
    """Run a few steps of a cell in a fork; return their cost, or the message of a failure."""
    if not cell.baseline:  # a baseline has no steps and runs in full
        steps = min(PROBE_STEPS, cell.config["budget"].get("steps") or PROBE_STEPS)
        budget = cell.config["budget"] | {"steps": steps, "validations": 1}
        cell = replace(cell, config=cell.config | {"budget": budget})
    with ForkedCall(_run_probe, cell.to_json()) as call:
        try:
            return cast("PastRun | str", call.result(PROBE_TIMEOUT))
        except (TimeoutError, ChildProcessError) as error:
            return str(error)


def _run_probe(cell_json: str) -> PastRun | str:
    """Run the cell without output; called in the fork."""
    from quintain.run.runner import run_to_record

    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    record = run_to_record(Cell.from_json(cell_json))
    if record.status == "ok":
        return _without_warm_up(_to_past_run(record.dump()))
    return record.error.message if record.error else record.reason or ""


def _without_warm_up(past_run: PastRun) -> PastRun:
    """Replace the training time by steps × median step time; the first steps are slow."""
    if not past_run.cost.get("step_ms"):
        return past_run
    seconds = dict(past_run.cost["seconds"])
    training = past_run.cost["step_ms"]["p50"] * past_run.cost["steps"] / 1e3
    seconds["total"] += training - seconds["training"]
    seconds["training"] = training
    return replace(past_run, cost={**past_run.cost, "seconds": seconds})
