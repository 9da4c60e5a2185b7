"""Accuracy on real data from files: Fashion-MNIST and FSDD, as `conf/suite/` sets them up.

Needs QUINTAIN_DATA, or a network to download them.
"""

from __future__ import annotations

import subprocess
from typing import Any

from _common import QUINTAIN, ROOT, Reading, arguments, publish, quintain_json, scratch

ACCURACY = {"fashion_mnist": 0.92, "fsdd": 0.96}  # on the official test splits
PARAMETERS = {"fashion_mnist": 100_000}  # fewer than these


def main() -> None:
    asked = arguments(__doc__, suites="real", store=None)
    readings = []
    with scratch(asked.store) as store:
        for suite in asked.suites.split(","):
            words = [*QUINTAIN, "sweep", f"suite={suite}", f"store={store}", "wandb.mode=offline"]
            subprocess.run(words, check=True, cwd=ROOT)
        rows = quintain_json("leaderboard", f"store={store}")["rows"]
    for name, least in ACCURACY.items():
        fits = [
            row
            for row in rows
            if row["dataset"] == name and not row["reference"]
            if row["params"] < PARAMETERS.get(name, row["params"] + 1)
        ]
        if fits:
            readings.append(_best(name, fits, least))
    publish("real_data", readings, asked.out)


def _best(name: str, rows: list[dict[str, Any]], least: float) -> Reading:
    row = max(rows, key=lambda row: row["mean"])
    note = f"{row['params']:,} parameters, {row['train_seconds']:.0f} s of training"
    what = f"{name}: test accuracy of {row['model']}, mean of {row['n']} seeds"
    return Reading(what, "", [row["mean"]], at_least=least, note=note)


if __name__ == "__main__":
    main()
