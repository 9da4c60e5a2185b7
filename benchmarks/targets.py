"""Quality of the quick suite, compared with naive and linear baselines and with a fixed accuracy.

The gain over a baseline is 1 - error / error of the baseline; the error is 1 - accuracy, nats per
token or squared error. A gain above 0 is better than the baseline.
"""

from __future__ import annotations

from typing import Any

from _common import Reading, parse_arguments, read_json, write_results

NAIVE = ("majority", "unigram", "persistence")  # the naive baseline of each task
DIGITS_CNN = 0.97  # minimum test accuracy
MIN_DATASETS = 4  # of five, on which the best model must beat the linear baseline


def main() -> None:
    options = parse_arguments(__doc__, store="results")
    rows = read_json("leaderboard", f"store={options.store}")["rows"]
    readings, beaten = [], []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        dataset_rows = [row for row in rows if row["dataset"] == dataset]
        models = {row["model"]: to_error(row) for row in dataset_rows if not row["baseline"]}
        baselines = {row["model"]: to_error(row) for row in dataset_rows if row["baseline"]}
        for name, baseline in baselines.items():
            gains = [1 - value / baseline for value in models.values()]
            what = f"{dataset}: gain of each model over {name}"
            least = 0.0 if name in NAIVE else None
            readings.append(Reading(what, "", gains, at_least=least, judged="worst"))
        beaten.append(min(models.values()) < baselines["linear"])
        if dataset == "digits" and "cnn" in models:
            what, accuracy = "digits: test accuracy of the CNN", 1 - models["cnn"]
            readings.append(Reading(what, "", [accuracy], at_least=DIGITS_CNN))
    what = "datasets on which the best model beats linear"
    readings.append(Reading(what, f"of {len(beaten)}", [float(sum(beaten))], at_least=MIN_DATASETS))
    write_results("targets", readings, options.out)


def to_error(row: dict[str, Any]) -> float:
    """Return the error that models minimise, from the main score on test."""
    return float(1 - row["mean"] if row["direction"] == "max" else row["mean"])


if __name__ == "__main__":
    main()
