"""Local workers: how much of their time is training, and two of one thread against one of two.

Busy: `--cells` runs that train for one second each, on two workers; the seconds of training over
twice the time from the first run's start to the last one's end, both as the records say.
Two against one: the quick suite in a fresh store by two workers of one thread, and by one worker of
two threads, in turns; what a whole `quintain sweep` takes.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from _common import QUINTAIN, Reading, arguments, publish, scratch, timed

WORKERS = 2
BUSY = 0.9  # share of the workers' time
FASTER = 1.3


def main() -> None:
    asked = arguments(__doc__, cells=200, n=1, settings="")
    more = asked.settings.split()
    busy = [share_of_training(asked.cells, more) for _ in range(asked.n)]
    pairs = [(quick(1, 2, more), quick(2, 1, more)) for _ in range(asked.n)]
    note = ", ".join(f"{one:.0f} s against {two:.0f} s" for one, two in pairs)
    publish(
        "workers",
        [
            Reading(
                f"share of training in the time of {WORKERS} workers, {asked.cells} cells of 1 s",
                "",
                busy,
                at_least=BUSY,
            ),
            Reading(
                "quick suite: one worker of two threads over two workers of one",
                "",
                [one / two for one, two in pairs],
                at_least=FASTER,
                note=note,
            ),
        ],
        asked.out,
    )


def share_of_training(cells: int, settings: list[str]) -> float:
    """Of the time of two workers, from the records."""
    words = ["dataset=digits", "model=mlp", "hardware=cpu", f"seed=range(1,{cells + 1})"]
    words += ["budget.seconds=1", "budget.steps=100_000", f"launch.workers={WORKERS}", *settings]
    with scratch() as store:
        timed(_sweep(store, words))
        records = _records(store)
    trained = sum(r["cost"]["seconds"]["training"] for r in records)
    first = min(datetime.fromisoformat(r["started"]) for r in records)
    last = max(datetime.fromisoformat(r["finished"]) for r in records)
    assert len(records) == cells, f"{len(records)} of {cells} cells have a record"
    return trained / (WORKERS * (last - first).total_seconds())


def quick(workers: int, threads: int, settings: list[str]) -> float:
    """Seconds of the quick suite's thirty cells, the reference rows left out."""
    words = ["suite=quick", "hardware=cpu", f"launch.workers={workers}"]
    with scratch() as store:
        return timed(_sweep(store, [*words, f"hardware.threads={threads}", *settings]))


def _sweep(store: Path, words: list[str]) -> list[str]:
    own = ["--no-references", f"store={store}", "wandb.mode=disabled"]
    return [*QUINTAIN, "sweep", *words, *own]


def _records(store: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in (store / "records").glob("*/*.json")]


if __name__ == "__main__":
    main()
