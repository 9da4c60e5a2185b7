"""Overhead of one process per cell: time in a worker process minus time in this process.

Both train the same cell alternately, on one thread, after all imports. The time in a worker process
includes claim, fork, training, record and the exit of the process.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _common import Reading, parse_arguments, plan_quick_suite, write_results

LIMIT = 0.5  # seconds per cell
CELLS = "digits/mlp sunspots/lstm spoken_words/cnn pydoc/gru moving_digits/transformer"


def main() -> None:
    options = parse_arguments(__doc__, n=10, cells=CELLS, steps=20)
    torch.set_num_threads(1)
    cells = {
        f"{cell.names['dataset']}/{cell.names['model']}": cell
        for cell in plan_quick_suite(f"budget.steps={options.steps}")
    }
    readings = []
    for name in options.cells.split():
        in_pool(cells[name]), in_process(cells[name])  # fills caches
        extra = [in_pool(cells[name]) - in_process(cells[name]) for _ in range(options.n)]
        readings.append(Reading(f"isolation of {name}", "s", extra, LIMIT))
    write_results("isolation", readings, options.out)


def in_pool(cell: Any) -> float:
    """Return the seconds of one cell in a pool with one worker, from claim to exit."""
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
    """Return the seconds of the same run in this process."""
    from quintain.run.session import run_cell

    began = time.perf_counter()
    run_cell(cell)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
