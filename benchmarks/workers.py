"""Local workers: the share of training in their time, and the speedup of two workers over one.

Share of training: two workers run `--cells` cells that train for one second each. The share is the
sum of the training times over twice the time from the start of the first run to the end of the last
one, from the records. The note has the times of the other phases; "between" is the time from the
end of a record to the start of the worker's next run. Then a fifth as many cells train for `LONGER`
seconds, because the other phases hardly take longer.

Speedup: `quintain sweep suite=quick` into a new store by two workers of one thread, and by one
worker of two threads, alternately, `--pairs` times (0: not measured).
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from _common import QUINTAIN, Reading, parse_arguments, temporary_store, time_command, write_results

WORKERS = 2
TRAINING_SHARE = 0.9  # of the workers' time
LONGER = 5  # seconds
MIN_SPEEDUP = 1.3
PHASES = ("setup", "training", "validation", "test")
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Allows Python to write bytecode files, as by default, because each run imports its plugins."""


def main() -> None:
    options = parse_arguments(__doc__, cells=200, n=1, pairs=1, settings="")
    overrides = options.settings.split()
    readings = [
        read_training_share(
            [sweep_cells(options.cells, 1, overrides) for _ in range(options.n)],
            1,
            at_least=TRAINING_SHARE,
        ),
        read_training_share([sweep_cells(options.cells // 5, LONGER, overrides)], LONGER),
    ]
    if options.pairs:
        pairs = [
            (time_quick_suite(1, 2, overrides), time_quick_suite(2, 1, overrides))
            for _ in range(options.pairs)
        ]
        readings.append(read_speedup(pairs))
    write_results("workers", readings, options.out)


def read_training_share(
    sweeps: list[list[dict[str, Any]]], seconds: int, **target: float
) -> Reading:
    """Return the share of training in the records of several sweeps."""
    return Reading(
        f"share of training in the time of {WORKERS} workers,"
        f" {len(sweeps[0])} cells of {seconds} s",
        "",
        [share_of_training(records) for records in sweeps],
        note=describe_phases(sweeps[0]),
        **target,
    )


def read_speedup(pairs: list[tuple[float, float]]) -> Reading:
    """Return the ratio of pairs of times: one worker of two threads, two workers of one."""
    return Reading(
        "quick suite: one worker of two threads over two workers of one",
        "",
        [one / two for one, two in pairs],
        at_least=MIN_SPEEDUP,
        note=", ".join(f"{one:.0f} s against {two:.0f} s" for one, two in pairs),
    )


def sweep_cells(cells: int, seconds: int, settings: list[str]) -> list[dict[str, Any]]:
    """Run cells that train for `seconds` on two workers, and return their records."""
    command = ["dataset=digits", "model=mlp", "hardware=cpu", f"seed=range(1,{cells + 1})"]
    command += [
        f"budget.seconds={seconds}",
        "budget.steps=1_000_000",
        f"launch.workers={WORKERS}",
        *settings,
    ]
    with temporary_store() as store:
        time_command(_sweep(store, command), **COMPILED)
        records = _records(store)
    if len(records) != cells:
        sys.exit(f"expected {cells} records, got {len(records)}")
    return records


def share_of_training(records: list[dict[str, Any]]) -> float:
    """Return the share of training in the time of two workers."""
    return sum(_seconds(records, "training")) / (WORKERS * _span(records))


def describe_phases(records: list[dict[str, Any]]) -> str:
    """Return the mean seconds of a run by phase, and of the pause before the worker's next run."""
    total = sum(_seconds(records, "total"))
    between = (WORKERS * _span(records) - total) / len(records)
    phases = {phase: sum(_seconds(records, phase)) / len(records) for phase in PHASES}
    measuring = total / len(records) - sum(phases.values())
    parts = {**phases, "measuring and samples": measuring, "between": between}
    return "a run: " + ", ".join(f"{name} {value:.3f} s" for name, value in parts.items())


def _seconds(records: list[dict[str, Any]], phase: str) -> list[float]:
    return [record["cost"]["seconds"][phase] for record in records]


def _span(records: list[dict[str, Any]]) -> float:
    """Return the seconds from the start of the first run to the end of the last one."""
    first = min(datetime.fromisoformat(record["started"]) for record in records)
    last = max(datetime.fromisoformat(record["finished"]) for record in records)
    return (last - first).total_seconds()


def time_quick_suite(workers: int, threads: int, settings: list[str]) -> float:
    """Return the seconds of the thirty cells of the quick suite, without baselines."""
    command = ["suite=quick", "hardware=cpu", f"launch.workers={workers}"]
    with temporary_store() as store:
        command += [f"hardware.threads={threads}", *settings]
        return time_command(_sweep(store, command), **COMPILED)


def _sweep(store: Path, overrides: list[str]) -> list[str]:
    common = ["--no-baselines", f"store={store}", "wandb.mode=disabled"]
    return [*QUINTAIN, "sweep", *overrides, *common]


def _records(store: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in (store / "records").glob("*/*.json")]


if __name__ == "__main__":
    main()
