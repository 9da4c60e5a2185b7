"""The golden runs on real data: each suite of `conf/suite/golden/` and what it has to reach.

Needs QUINTAIN_DATA (or a network for those that can be downloaded), and hours where all are asked.
`--suites` names some; `--store` keeps their records and takes what it holds already. The score is
the mean over seeds on the test split, and the note gives its spread, parameters and seconds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import QUINTAIN, ROOT, Reading, arguments, publish, scratch

FOLDER = ROOT / "conf" / "suite" / "golden"


@dataclass(frozen=True)
class Goal:
    """What the best (or a named) model has to reach; `of` are settings of its dataset."""

    model: str = "best"
    at_least: float | None = None
    at_most: float | None = None
    of: tuple[tuple[str, Any], ...] = ()
    seconds: float | None = None  # of training, or to the target where the suite has one


GOALS: dict[str, tuple[Goal, ...]] = {
    "fashion_mnist": (Goal("cnn", at_least=0.925),),
    "fashion_mnist_fast": (Goal("cnn", seconds=20),),
    "fsdd": (Goal("cnn", at_least=0.97), Goal("lstm", at_least=0.95)),
    "grid_speech": (Goal(at_most=0.04, seconds=60),),
    "grid_lips": (
        Goal(at_least=0.96, of=(("word", "colour"),), seconds=40),
        Goal(at_least=0.93, of=(("word", "digit"),), seconds=40),
    ),
    "tiny_shakespeare": (Goal("transformer", at_most=1.88),),
    "sst2": (Goal(at_least=0.80),),
    "multi30k": (Goal("transformer", at_least=30.0), Goal("lstm", at_least=24.0)),
    "number_words": (Goal(at_least=0.95, of=(("test", "seen"),)),),
    "ett": (Goal("linear", at_most=0.385, of=(("horizon", 96),)),),
    "ett_best": (Goal(at_most=0.42, of=(("horizon", 96),)),),
}


def main() -> None:
    found = ",".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
    asked = arguments(__doc__, suites=found, store=None, name="golden")
    readings: list[Reading] = []
    for suite in asked.suites.split(","):
        with scratch(f"{asked.store}/{suite}" if asked.store else None) as store:
            words = [*QUINTAIN, "sweep", f"suite=golden/{suite}", f"store={store}"]
            subprocess.run([*words, "wandb.mode=disabled"], check=True, cwd=ROOT)
            readings += _readings(suite, _groups(Path(store)))
    publish(asked.name, readings, asked.out)


def _groups(store: Path) -> list[list[dict[str, Any]]]:
    """The finished records of each group, by dataset settings and model."""
    groups = defaultdict(list)
    for file in sorted((store / "records").glob("*/*.json")):
        record = json.loads(file.read_text())
        if record["status"] == "ok":
            groups[record["group"]].append(record)
    return sorted(groups.values(), key=_label)


def _readings(suite: str, groups: list[list[dict[str, Any]]]) -> list[Reading]:
    readings = []
    for group in groups:
        goal = _goal(suite, group, groups)
        values = [_test(record) for record in group]
        at_least, at_most = (goal.at_least, goal.at_most) if goal else (None, None)
        what = f"{suite}: {_label(group)}"
        mean = statistics.mean(values)
        reading = Reading(what, _main(group[0])["unit"], [mean], at_most, at_least)
        spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
        reading.note = f"{mean:.4g}{spread}, n = {len(values)}{_cost(group)}"
        readings.append(reading)
        if goal and goal.seconds:
            slowest = max(_seconds(record) for record in group)
            readings.append(Reading(f"{what}, seconds", "s", [slowest], at_most=goal.seconds))
    return readings


def _goal(suite: str, group: list[Any], groups: list[list[Any]]) -> Goal | None:
    for goal in GOALS.get(suite, ()):
        rivals = [g for g in groups if all(_setting(g[0], k) == v for k, v in goal.of)]
        if goal.model == "best":
            rivals = sorted((g for g in rivals if not g[0]["reference"]), key=_standing)[:1]
        else:
            rivals = [g for g in rivals if g[0]["names"]["model"] == goal.model]
        if group in rivals:
            return goal
    return None


def _standing(group: list[dict[str, Any]]) -> float:
    mean = statistics.mean(_test(record) for record in group)
    return -mean if _main(group[0])["direction"] == "max" else mean


def _label(group: list[dict[str, Any]]) -> str:
    """Model, and what tells its dataset from the others of the suite."""
    record = group[0]
    told = ("word", "horizon", "test", "direction")
    settings = [str(v) for k in told if (v := _setting(record, k)) is not None]
    return " ".join([*settings, record["names"]["model"]])


def _setting(record: dict[str, Any], name: str) -> Any:
    return record["cell"]["dataset"].get(name)


def _main(record: dict[str, Any]) -> dict[str, Any]:
    quality = record["quality"]
    found: dict[str, Any] = quality["scores"][quality["main"]]
    return found


def _test(record: dict[str, Any]) -> float:
    return float(_main(record)["test"])


def _seconds(record: dict[str, Any]) -> float:
    """To the target, if the suite has one and it was reached, else of all training."""
    target = record["quality"]["target"]
    if target is not None:
        return float(target["seconds"] if target["seconds"] is not None else "inf")
    return float(record["cost"]["seconds"]["training"])


def _cost(group: list[dict[str, Any]]) -> str:
    params = group[0]["cost"]["params"]
    seconds = statistics.median(_seconds(record) for record in group)
    return f", {params:,} parameters, {seconds:.0f} s of training" if params else ""


if __name__ == "__main__":
    main()
