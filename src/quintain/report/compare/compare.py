"""`quintain compare A B`: compares the scores and costs of two sides on each dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from quintain.contracts import Direction
from quintain.records.cost import Cost
from quintain.records.hardware_classes import HardwareClass, hardware_class
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.compare.sides import Key, Sides, select_sides
from quintain.report.comparisons import without_speed_settings
from quintain.report.configuration_labels import describe_settings
from quintain.report.rows import host_name, measurements
from quintain.stats.intervals import Interval, mean_interval, ratio_interval
from quintain.stats.multiple_comparisons import holm_correction
from quintain.stats.paired import PairedTest, paired_test

_SHARED_PARTS = ("dataset", "budget")
_SHARED_PARTS_OF_CONFIGURATIONS = ("dataset", "stem", "head", "model", "optimizer", "budget")
"""The config groups whose settings A and B share, if stores or versions are compared."""


@dataclass(frozen=True, kw_only=True)
class ComparedPair:
    """A against B on one dataset.

    `a` and `b` are the means over the seeds of each side. `gain` is the mean improvement of A over
    B on the common seeds; for its statistics see `stats.paired.PairedTest`. `p_holm` is corrected
    over all pairs, except those of measure "speed" whose scores are the same as in another pair.
    `seconds`, `latency` (at batch size 1) and `params` are ratios A / B. The times are missing if
    A and B ran on different machines, unless machines are compared. `settings` are the non-default
    settings that A and B share.
    """

    dataset: str
    model: str
    hardware: str
    settings: str
    measure: Literal["quality", "speed"]
    metric: str
    direction: Direction
    unit: str
    a: Interval
    b: Interval
    n: int
    dropped: int
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_flips: float | None
    cohen_d: float | None
    hedges_g: float | None
    seconds: Interval
    latency: Interval
    params: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of `quintain compare`."""

    a: str
    b: str
    kind: str  # what differs between A and B: model, hardware, version, code or store
    pairs: list[ComparedPair]
    only_a: int  # configurations that only A has
    only_b: int
    notes: list[str]


def compare_sides(a: str, b: str, find_store: Callable[[], Store]) -> Comparison:
    """Compare the configurations that both sides have; arguments and errors: `select_sides`."""
    sides = select_sides(a, b, find_store)
    tests = {
        key: paired_test(_signed_scores(sides.a[key]), _signed_scores(sides.b[key]))
        for key in sorted(sides.a.keys() & sides.b.keys())
    }
    seeds = {key: sides.a[key].keys() & sides.b[key].keys() for key in tests}
    p_values = []
    for key, test in tests.items():
        other = without_speed_settings(key)
        has_same_scores = other != key and seeds[key] <= seeds.get(other, set())
        p_values.append(None if has_same_scores else test.p)
    corrected = holm_correction(p_values)
    pairs = [
        _make_pair(sides, key, test, p)
        for (key, test), p in zip(tests.items(), corrected, strict=True)
    ]
    return Comparison(
        a=a, b=b, kind=sides.kind,
        pairs=sorted(pairs, key=lambda pair: (pair.dataset, pair.model, pair.hardware)),
        only_a=len(sides.a.keys() - sides.b.keys()), only_b=len(sides.b.keys() - sides.a.keys()),
        notes=[*sides.notes, *_machine_notes(a, b, sides, tests)],
    )  # fmt: skip


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """Return plain values without NaN; intervals are dicts of `mean`, `low`, `high` and `n`."""
    values = asdict(comparison)
    for pair in values["pairs"]:
        for name in ("a", "b", "seconds", "latency"):
            pair[name] = dict(zip(Interval._fields, pair[name], strict=True))
    return values


def _signed_scores(side: Mapping[int, Record]) -> dict[int, float | None]:
    """Return seed → main test score, negated if less is better."""
    scores: dict[int, float | None] = {}
    for seed, record in side.items():
        score = measurements(record)[1].main_score
        sign = 1 if score.direction == "max" else -1
        scores[seed] = None if score.test is None else sign * score.test
    return scores


def _make_pair(sides: Sides, key: Key, test: PairedTest, p_holm: float | None) -> ComparedPair:
    a, b = sides.a[key], sides.b[key]
    first_a, first_b = next(iter(a.values())), next(iter(b.values()))
    _, quality, cost = measurements(first_a)
    names = first_a.names
    params = cost.params, measurements(first_b)[2].params
    is_configuration = sides.kind not in ("model", "hardware")
    parts = _SHARED_PARTS_OF_CONFIGURATIONS if is_configuration else _SHARED_PARTS
    return ComparedPair(
        dataset=names.dataset,
        model=names.model if sides.kind != "model" else "",
        hardware=names.hardware if sides.kind != "hardware" else "",
        settings=describe_settings(first_a, parts),
        measure="quality" if without_speed_settings(key) == key else "speed",
        metric=quality.main,
        direction=quality.main_score.direction,
        unit=quality.main_score.unit,
        a=mean_interval(record.main_test_score() for record in a.values()),
        b=mean_interval(record.main_test_score() for record in b.values()),
        gain=test.difference,
        p_holm=p_holm,
        **{name: value for name, value in asdict(test).items() if name != "difference"},
        seconds=_cost_ratio(sides, key, lambda cost: cost.seconds.training),
        latency=_cost_ratio(sides, key, latency),
        params=params[0] / params[1] if params[0] and params[1] else None,
    )


def _compares_machines(sides: Sides) -> bool:
    return sides.kind in ("store", "hardware")


def _cost_ratio(sides: Sides, key: Key, get: Callable[[Cost], float | None]) -> Interval:
    """Return A / B of a cost over the common seeds where A and B ran on the same machine."""
    costs_a, costs_b = [], []
    for a, b in _seed_pairs(sides, key):
        if _compares_machines(sides) or _machine(a) == _machine(b):
            costs_a.append(get(measurements(a)[2]))
            costs_b.append(get(measurements(b)[2]))
    return ratio_interval(costs_a, costs_b)


def _seed_pairs(sides: Sides, key: Key) -> list[tuple[Record, Record]]:
    """Return the records of A and B for each common seed."""
    seeds = sorted(sides.a[key].keys() & sides.b[key].keys())
    return [(sides.a[key][seed], sides.b[key][seed]) for seed in seeds]


def _machine(record: Record) -> tuple[str, HardwareClass]:
    return host_name(record), hardware_class(record.machine)


def _machine_notes(a: str, b: str, sides: Sides, keys: Iterable[Key]) -> list[str]:
    """Return a note if times of different machines are divided, or left out."""
    pairs = [pair for key in keys for pair in _seed_pairs(sides, key)]
    differing = [pair for pair in pairs if _machine(pair[0]) != _machine(pair[1])]
    if not differing:
        return []
    classes_a, classes_b = (
        "; ".join(sorted({str(hardware_class(record.machine)) for record in records}))
        for records in zip(*differing, strict=True)
    )
    machines = f"{a} ran on {classes_a}, {b} on {classes_b}"
    if classes_a == classes_b:
        machines = f"of one hardware class ({classes_a})"
    if _compares_machines(sides):
        return [f"train s and latency are ratios of times of different machines: {machines}"]
    return [f"times of different machines are left out: {machines}"]


def latency(cost: Cost) -> float | None:
    """Return the median latency at batch size 1 in milliseconds."""
    percentiles = cost.latency_ms.get("1")
    return percentiles.p50 if percentiles else None
