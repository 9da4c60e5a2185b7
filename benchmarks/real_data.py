"""Accuracy on datasets that are downloaded: Fashion-MNIST and FSDD with `suite=real`.

Needs QUINTAIN_DATA, or a network to download them.
"""

from __future__ import annotations

import subprocess
from typing import Any

from _common import (
    QUINTAIN,
    ROOT,
    Reading,
    parse_arguments,
    read_json,
    temporary_store,
    write_results,
)

ACCURACY = {"fashion_mnist": 0.92, "fsdd": 0.96}  # targets on the official test splits
PARAMETER_LIMIT = {"fashion_mnist": 100_000}


def main() -> None:
    options = parse_arguments(__doc__, suites="real", store=None)
    readings = []
    with temporary_store(options.store) as store:
        for suite in options.suites.split(","):
            command = [*QUINTAIN, "sweep", f"suite={suite}", f"store={store}", "wandb.mode=offline"]
            subprocess.run(command, check=True, cwd=ROOT)
        rows = read_json("leaderboard", f"store={store}")["rows"]
    for name, least in ACCURACY.items():
        candidates = [
            row
            for row in rows
            if row["dataset"] == name and not row["baseline"]
            if row["params"] < PARAMETER_LIMIT.get(name, row["params"] + 1)
        ]
        if candidates:
            readings.append(_read_best(name, candidates, least))
    write_results("real_data", readings, options.out)


def _read_best(name: str, rows: list[dict[str, Any]], least: float) -> Reading:
    row = max(rows, key=lambda row: row["mean"])
    note = f"{row['params']:,} parameters, {row['train_seconds']:.0f} s of training"
    what = f"{name}: test accuracy of {row['model']}, mean of {row['n']} seeds"
    return Reading(what, "", [row["mean"]], at_least=least, note=note)


if __name__ == "__main__":
    main()
