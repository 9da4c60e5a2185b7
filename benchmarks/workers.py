"""Local workers: how much of their time is training, and two of one thread against one of two.

Busy: `--cells` runs that train for one second each, on two workers; the seconds of training over
twice the time from the first run's start to the last one's end, both as the records say. The note
tells where the rest went; "between" is from a record's end to the start of the worker's next run.
Once more with runs of `LONGER` seconds, a fifth as many, since the rest grows by little with them.
Two against one: the quick suite in a fresh store by two workers of one thread, and by one worker of
two threads, in turns, `--pairs` times (0 leaves it out); what a whole `quintain sweep` takes.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from _common import QUINTAIN, Reading, arguments, publish, scratch, timed

WORKERS = 2
BUSY = 0.9  # share of the workers' time
LONGER = 5  # seconds
FASTER = 1.3
PHASES = ("setup", "training", "validation", "test")
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Python may keep its compiled files, as it does unless told otherwise: a run reads its plugins."""


def main() -> None:
    asked = arguments(__doc__, cells=200, n=1, pairs=1, settings="")
    more = asked.settings.split()
    readings = [
        busy([timed_cells(asked.cells, 1, more) for _ in range(asked.n)], 1, at_least=BUSY),
        busy([timed_cells(asked.cells // 5, LONGER, more)], LONGER),
    ]
    if asked.pairs:
        pairs = [(quick(1, 2, more), quick(2, 1, more)) for _ in range(asked.pairs)]
        readings.append(two_against_one(pairs))
    publish("workers", readings, asked.out)


def busy(swept: list[list[dict[str, Any]]], seconds: int, **target: float) -> Reading:
    """Of the records of several sweeps."""
    return Reading(
        f"share of training in the time of {WORKERS} workers, {len(swept[0])} cells of {seconds} s",
        "",
        [share_of_training(records) for records in swept],
        note=where_it_went(swept[0]),
        **target,
    )


def two_against_one(pairs: list[tuple[float, float]]) -> Reading:
    """Of the seconds of one worker of two threads, and of two of one."""
    return Reading(
        "quick suite: one worker of two threads over two workers of one",
        "",
        [one / two for one, two in pairs],
        at_least=FASTER,
        note=", ".join(f"{one:.0f} s against {two:.0f} s" for one, two in pairs),
    )


def timed_cells(cells: int, seconds: int, settings: list[str]) -> list[dict[str, Any]]:
    """The records of so many runs on two workers."""
    words = ["dataset=digits", "model=mlp", "hardware=cpu", f"seed=range(1,{cells + 1})"]
    words += [
        f"budget.seconds={seconds}",
        "budget.steps=1_000_000",
        f"launch.workers={WORKERS}",
        *settings,
    ]
    with scratch() as store:
        timed(_sweep(store, words), **COMPILED)
        records = _records(store)
    if len(records) != cells:
        sys.exit(f"{cells} cells were asked for, {len(records)} have a record")
    return records


def share_of_training(records: list[dict[str, Any]]) -> float:
    """Of the time of two workers."""
    return sum(_seconds(records, "training")) / (WORKERS * _span(records))


def where_it_went(records: list[dict[str, Any]]) -> str:
    """Mean seconds of a run by phase, and of the pause to the worker's next one."""
    total = sum(_seconds(records, "total"))
    between = (WORKERS * _span(records) - total) / len(records)
    named = {phase: sum(_seconds(records, phase)) / len(records) for phase in PHASES}
    measuring = total / len(records) - sum(named.values())
    parts = {**named, "measuring and samples": measuring, "between": between}
    return "a run: " + ", ".join(f"{name} {value:.3f} s" for name, value in parts.items())


def _seconds(records: list[dict[str, Any]], phase: str) -> list[float]:
    return [record["cost"]["seconds"][phase] for record in records]


def _span(records: list[dict[str, Any]]) -> float:
    """Seconds from the first run's start to the last one's end."""
    first = min(datetime.fromisoformat(record["started"]) for record in records)
    last = max(datetime.fromisoformat(record["finished"]) for record in records)
    return (last - first).total_seconds()


def quick(workers: int, threads: int, settings: list[str]) -> float:
    """Seconds of the quick suite's thirty cells, the reference rows left out."""
    words = ["suite=quick", "hardware=cpu", f"launch.workers={workers}"]
    with scratch() as store:
        own = [*words, f"hardware.threads={threads}", *settings]
        return timed(_sweep(store, own), **COMPILED)


def _sweep(store: Path, words: list[str]) -> list[str]:
    own = ["--no-references", f"store={store}", "wandb.mode=disabled"]
    return [*QUINTAIN, "sweep", *words, *own]


def _records(store: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in (store / "records").glob("*/*.json")]


if __name__ == "__main__":
    main()
