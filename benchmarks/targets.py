"""Quality of the quick suite: against the naive row, the linear row, and a fixed accuracy.

The gain over a reference is 1 - error / error of the reference, the error being 1 - accuracy,
nats, or squared error; above 0 is better than the reference.
"""

from __future__ import annotations

from typing import Any

from _common import Reading, arguments, publish, quintain_json

NAIVE = ("majority", "unigram", "persistence", "seasonal_naive")
DIGITS_CNN = 0.97  # test accuracy
BEATEN = 4  # of five datasets on which the best model has to beat the linear row


def main() -> None:
    asked = arguments(__doc__, store="results")
    rows = quintain_json("leaderboard", f"store={asked.store}")["rows"]
    readings, beaten = [], []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        mine = [row for row in rows if row["dataset"] == dataset]
        models = {row["model"]: error(row) for row in mine if not row["reference"]}
        references = {row["model"]: error(row) for row in mine if row["reference"]}
        naive = min(references[name] for name in NAIVE if name in references)
        gains = [1 - value / naive for value in models.values()]
        what = f"{dataset}: gain of each model over the best naive row"
        readings.append(Reading(what, "", gains, at_least=0.0, judged="worst"))
        best = min(models, key=lambda name: models[name])
        gain = 1 - models[best] / references["linear"]
        beaten.append(gain > 0)
        what = f"{dataset}: gain of the best model over linear"
        readings.append(Reading(what, "", [gain], note=best))
        if dataset == "digits" and "cnn" in models:
            what, accuracy = "digits: test accuracy of the CNN", 1 - models["cnn"]
            readings.append(Reading(what, "", [accuracy], at_least=DIGITS_CNN))
    what = "datasets on which the best model beats linear"
    readings.append(Reading(what, f"of {len(beaten)}", [float(sum(beaten))], at_least=BEATEN))
    publish("targets", readings, asked.out)


def error(row: dict[str, Any]) -> float:
    """What the models lower, from the main score on test."""
    return float(1 - row["mean"] if row["direction"] == "max" else row["mean"])


if __name__ == "__main__":
    main()
