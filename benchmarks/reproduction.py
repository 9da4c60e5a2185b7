"""Reproduction of published numbers on real data, by the suites of `conf/suite/reproduction/`.

Needs QUINTAIN_DATA, or a network for the data that can be downloaded; all suites take hours.
`--suites` selects some. `--store` is a folder for their records, which are used again. The score is
the mean over seeds on the test split; the note has its standard deviation, the number of parameters
and the seconds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import QUINTAIN, ROOT, Reading, parse_arguments, temporary_store, write_results

FOLDER = ROOT / "conf" / "suite" / "reproduction"


@dataclass(frozen=True)
class Goal:
    """What a model must reach on the test split, averaged over seeds."""

    model: str = "best"  # a name, or the best model
    at_least: float | None = None
    at_most: float | None = None
    dataset: tuple[tuple[str, Any], ...] = ()  # applies to datasets with these settings
    seconds: float | None = None  # of training, or to the target where the suite has one


GOALS: dict[str, tuple[Goal, ...]] = {
    "fashion_mnist": (Goal("cnn", at_least=0.925),),
    "fashion_mnist_fast": (Goal("cnn", seconds=20),),
    "fsdd": (Goal("cnn", at_least=0.97), Goal("lstm", at_least=0.95)),
    "grid_speech": (Goal(at_most=0.04, seconds=60),),
    "grid_lips": (
        Goal(at_least=0.96, dataset=(("word", "colour"),), seconds=40),
        Goal(at_least=0.93, dataset=(("word", "digit"),), seconds=40),
    ),
    "tiny_shakespeare": (Goal("transformer", at_most=1.88),),
    "sst2": (Goal(at_least=0.80),),
    "multi30k": (Goal("transformer", at_least=30.0), Goal("lstm", at_least=24.0)),
    "number_words": (Goal(at_least=0.95, dataset=(("test", "seen"),)),),
    "ett": (Goal("linear", at_most=0.385, dataset=(("horizon", 96),)),),
    "ett_best": (Goal(at_most=0.42, dataset=(("horizon", 96),)),),
}


def main() -> None:
    suites = ",".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
    options = parse_arguments(__doc__, suites=suites, store=None, name="reproduction")
    readings: list[Reading] = []
    for suite in options.suites.split(","):
        with temporary_store(f"{options.store}/{suite}" if options.store else None) as store:
            command = [*QUINTAIN, "sweep", f"suite=reproduction/{suite}", f"store={store}"]
            subprocess.run([*command, "wandb.mode=disabled"], check=True, cwd=ROOT)
            readings += _make_readings(suite, _groups(Path(store)))
    write_results(options.name, readings, options.out)


def _groups(store: Path) -> list[list[dict[str, Any]]]:
    """Return the finished records of each group, sorted by dataset settings and model."""
    groups = defaultdict(list)
    for file in sorted((store / "records").glob("*/*.json")):
        record = json.loads(file.read_text())
        if record["status"] == "ok":
            groups[record["group"]].append(record)
    return sorted(groups.values(), key=_label)


def _make_readings(suite: str, groups: list[list[dict[str, Any]]]) -> list[Reading]:
    readings = []
    for group in groups:
        goal = _find_goal(suite, group, groups)
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


def _find_goal(suite: str, group: list[Any], groups: list[list[Any]]) -> Goal | None:
    for goal in GOALS.get(suite, ()):
        candidates = [g for g in groups if all(_setting(g[0], k) == v for k, v in goal.dataset)]
        if goal.model == "best":
            candidates = sorted((g for g in candidates if not g[0]["baseline"]), key=_sort_key)[:1]
        else:
            candidates = [g for g in candidates if g[0]["names"]["model"] == goal.model]
        if group in candidates:
            return goal
    return None


def _sort_key(group: list[dict[str, Any]]) -> float:
    mean = statistics.mean(_test(record) for record in group)
    return -mean if _main(group[0])["direction"] == "max" else mean


def _label(group: list[dict[str, Any]]) -> str:
    """Return the model and the settings in which the datasets of a suite differ."""
    record = group[0]
    names = ("word", "horizon", "test", "direction")
    settings = [str(v) for k in names if (v := _setting(record, k)) is not None]
    return " ".join([*settings, record["names"]["model"]])


def _setting(record: dict[str, Any], name: str) -> Any:
    return record["cell"]["dataset"].get(name)


def _main(record: dict[str, Any]) -> dict[str, Any]:
    quality = record["quality"]
    score: dict[str, Any] = quality["scores"][quality["main"]]
    return score


def _test(record: dict[str, Any]) -> float:
    return float(_main(record)["test"])


def _seconds(record: dict[str, Any]) -> float:
    """Return the seconds to the target if the suite has one, else those of the whole training."""
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
