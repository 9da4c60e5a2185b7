"""Every cell of a store against the free rows of its dataset; what is not beaten is listed.

The gain over a reference is 1 - error / error of the reference (1 - score where more is better, on
a scale of 1): above 0 is better than the reference. `--store` is a store that `quintain sweep
suite=offline` has filled.
"""

from __future__ import annotations

from typing import Any

from _common import Reading, arguments, publish, quintain_json

NAIVE = ("majority", "mean", "unigram", "persistence")  # of each task, the one that knows nothing


def main() -> None:
    asked = arguments(__doc__, store="results", name="every_cell")
    rows = quintain_json("leaderboard", f"store={asked.store}")["rows"]
    readings = [
        reading
        for dataset in dict.fromkeys(row["dataset"] for row in rows)
        for reading in _against([row for row in rows if row["dataset"] == dataset])
    ]
    publish(asked.name, readings, asked.out)


def _against(rows: list[dict[str, Any]]) -> list[Reading]:
    models = {row["model"]: row for row in rows if not row["reference"]}
    references = [row for row in rows if row["reference"]]
    readings = []
    for reference in references:
        gains = {name: _gain(row, reference) for name, row in models.items()}
        below = [f"{name} {gain:+.1%}" for name, gain in gains.items() if gain <= 0]
        what = f"{reference['dataset']}: gain of each model over {reference['model']}"
        note = f"not beaten by {', '.join(below)}" if below else "beaten by all"
        least = 0.0 if reference["model"] in NAIVE else None
        readings.append(
            Reading(what, "", [*gains.values()], at_least=least, judged="worst", note=note)
        )
    return readings


def _gain(row: dict[str, Any], reference: dict[str, Any]) -> float:
    return 1 - _error(row) / max(_error(reference), 1e-12)


def _error(row: dict[str, Any]) -> float:
    """What the models lower, from the main score on test."""
    if row["direction"] == "min":
        return float(row["mean"])
    return float((100 if row["metric"] in ("bleu", "chrf") else 1) - row["mean"])


if __name__ == "__main__":
    main()
