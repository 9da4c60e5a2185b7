"""Compare every cell of a store with the baselines of its dataset, and list models that lose.

The gain over a baseline is 1 - error / error of the baseline; the error is the score, or 1 - score
(scaled to 1) if a higher score is better. A gain above 0 is better than the baseline. `--store` is
a store of `quintain sweep suite=offline`.
"""

from __future__ import annotations

from typing import Any

from _common import Reading, parse_arguments, read_json, write_results

NAIVE = ("majority", "mean", "unigram", "persistence")  # the naive baseline of each task


def main() -> None:
    options = parse_arguments(__doc__, store="results", name="every_cell")
    rows = read_json("leaderboard", f"store={options.store}")["rows"]
    readings = [
        reading
        for dataset in dict.fromkeys(row["dataset"] for row in rows)
        for reading in _compare_with_baselines([row for row in rows if row["dataset"] == dataset])
    ]
    write_results(options.name, readings, options.out)


def _compare_with_baselines(rows: list[dict[str, Any]]) -> list[Reading]:
    models = {row["model"]: row for row in rows if not row["baseline"]}
    baselines = [row for row in rows if row["baseline"]]
    readings = []
    for baseline in baselines:
        gains = {name: _gain(row, baseline) for name, row in models.items()}
        below = [f"{name} {gain:+.1%}" for name, gain in gains.items() if gain <= 0]
        what = f"{baseline['dataset']}: gain of each model over {baseline['model']}"
        note = f"not beaten by {', '.join(below)}" if below else "beaten by all"
        least = 0.0 if baseline["model"] in NAIVE else None
        readings.append(
            Reading(what, "", [*gains.values()], at_least=least, judged="worst", note=note)
        )
    return readings


def _gain(row: dict[str, Any], baseline: dict[str, Any]) -> float:
    return 1 - _error(row) / max(_error(baseline), 1e-12)


def _error(row: dict[str, Any]) -> float:
    """Return the error that models minimise, from the main score on test."""
    if row["direction"] == "min":
        return float(row["mean"])
    return float((100 if row["metric"] in ("bleu", "chrf") else 1) - row["mean"])


if __name__ == "__main__":
    main()
