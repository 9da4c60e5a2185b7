"""Quality of the quick suite: against the naive row, the linear row, and a fixed accuracy.

The gain over a reference is 1 - error / error of the reference, the error being 1 - accuracy,
nats, or squared error; above 0 is better than the reference.
"""

from __future__ import annotations

from typing import Any

from _common import Reading, arguments, publish, quintain_json

NAIVE = ("majority", "unigram", "persistence")  # of each task, the one that knows nothing
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
        for name, reference in references.items():
            gains = [1 - value / reference for value in models.values()]
            what, least = (
                f"{dataset}: gain of each model over {name}",
                0.0 if name in NAIVE else None,
            )
            readings.append(Reading(what, "", gains, at_least=least, judged="worst"))
        beaten.append(min(models.values()) < references["linear"])
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
