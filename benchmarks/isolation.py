"""What a process of its own costs a cell: wall time in the pool minus the same run in-process.

Both ways train the same cell from the start, in turns, on one thread; the in-process one is warm.
The pool's time spans claim, fork, training, record and the end of the process.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _common import Reading, arguments, default_cells, publish

LIMIT = 0.5  # seconds a cell
CELLS = "digits/mlp sunspots/lstm spoken_words/cnn pydoc/gru moving_digits/transformer"


def main() -> None:
    asked = arguments(__doc__, n=10, cells=CELLS, steps=20)
    torch.set_num_threads(1)
    wanted = asked.cells.split()
    found = {
        f"{cell.names['dataset']}/{cell.names['model']}": cell
        for cell in default_cells(f"budget.steps={asked.steps}")
    }
    readings = []
    for name in wanted:
        in_pool(found[name]), in_process(found[name])  # warm both
        extra = [in_pool(found[name]) - in_process(found[name]) for _ in range(asked.n)]
        readings.append(Reading(f"isolation of {name}", "s", extra, LIMIT))
    publish("isolation", readings, asked.out)


def in_pool(cell: Any) -> float:
    """Seconds of one cell in a pool with one worker, from claim to exit."""
    from quintain.launch.local import LocalPool
    from quintain.records.store import Store

    with tempfile.TemporaryDirectory() as folder:
        pool = LocalPool(Store(Path(folder)), workers=1)
        began = time.perf_counter()
        endings = [e.ending for e in pool.run([cell], lambda: False) if e.kind == "ended"]
        seconds = time.perf_counter() - began
    assert endings == ["ok"], f"{cell.label} ended {endings}"
    return seconds


def in_process(cell: Any) -> float:
    """Seconds of the same run, here."""
    from quintain.run.execute import execute

    began = time.perf_counter()
    execute(cell)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
