"""`quintain compare A B`: side by side on each dataset, with test, effect size and cost ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from quintain.contracts import Direction
from quintain.records.schema import Cost, Record
from quintain.records.store import Store
from quintain.report.comparisons import untimed
from quintain.report.rows import parts
from quintain.report.sides import Sides, sides
from quintain.stats.family import holm
from quintain.stats.intervals import Interval, mean_interval
from quintain.stats.paired import Paired, paired
from quintain.stats.ratios import ratio_interval

Measure = Literal["quality", "speed"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A against B on one dataset. `gain` is how much better A is, in the score's unit.

    `gain`, its interval, `p`, `p_flips` and the effect sizes are over the `n` common seeds as in
    `stats.paired`; `p_holm` is corrected for all rows, but for those that time again what another
    one has scored (`measure` is speed): they have none. `seconds` and `latency` are ratios A / B of
    training time and latency at batch 1 with their interval; without values where the two ran on
    different machines, unless machines are what is compared.
    """

    dataset: str
    model: str
    hardware: str
    measure: Measure
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
    """What `quintain compare` says; `kind` is what differs: model, hardware, version, code, store.

    `only_a` and `only_b` count the questions that one side alone has answered.
    """

    a: str
    b: str
    kind: str
    pairs: list[Pair]
    only_a: int
    only_b: int
    notes: list[str]


def compare(a: str, b: str, find: Callable[[], Store]) -> Comparison:
    """Compare what both sides have; see `report.sides` for what A and B may be.

    Raises:
        StoreError: A and B are no two of one kind.
    """
    found = sides(a, b, find)
    common = sorted(found.a.keys() & found.b.keys())
    tests = [_test(found.a[key], found.b[key]) for key in common]
    seeds = {key: found.a[key].keys() & found.b[key].keys() for key in common}
    again = [untimed(key) != key and seeds[key] <= seeds.get(untimed(key), set()) for key in common]
    corrected = holm([None if k else test.p for k, test in zip(again, tests, strict=True)])
    pairs = [
        _pair(found, key, test, p) for key, test, p in zip(common, tests, corrected, strict=True)
    ]
    return Comparison(
        a=a, b=b, kind=found.kind,
        pairs=sorted(pairs, key=lambda pair: (pair.dataset, pair.model, pair.hardware)),
        only_a=len(found.a.keys() - found.b.keys()), only_b=len(found.b.keys() - found.a.keys()),
        notes=found.notes,
    )  # fmt: skip


def compare_json(found: Comparison) -> dict[str, Any]:
    """Plain values; intervals as objects of `mean`, `low`, `high`, `n`. No NaN anywhere."""
    plain = asdict(found)
    for pair in plain["pairs"]:
        for name in ("a", "b", "seconds", "latency"):
            pair[name] = dict(zip(Interval._fields, pair[name], strict=True))
    return plain


def _test(a: Mapping[int, Record], b: Mapping[int, Record]) -> Paired:
    """Signed so that more is better."""
    sign = 1 if _direction(next(iter(a.values()))) == "max" else -1
    return paired(_scores(a, sign), _scores(b, sign))


def _direction(record: Record) -> Direction:
    quality = parts(record)[1]
    return quality.scores[quality.main].direction


def _scores(side: Mapping[int, Record], sign: int = 1) -> dict[int, float | None]:
    values = {seed: record.main_test() for seed, record in side.items()}
    return {seed: None if value is None else sign * value for seed, value in values.items()}


def _pair(found: Sides, key: tuple[str, ...], test: Paired, p_holm: float | None) -> Pair:
    a, b = found.a[key], found.b[key]
    one, other = next(iter(a.values())), next(iter(b.values()))
    quality, names = parts(one)[1], one.names
    params = parts(one)[2].params, parts(other)[2].params
    return Pair(
        dataset=names.dataset,
        model=names.model if found.kind != "model" else "",
        hardware=names.hardware if found.kind != "hardware" else "",
        measure="quality" if untimed(key) == key else "speed",
        metric=quality.main,
        direction=_direction(one),
        unit=quality.scores[quality.main].unit,
        a=mean_interval(_scores(a).values()),
        b=mean_interval(_scores(b).values()),
        n=test.n,
        dropped=test.dropped,
        gain=test.difference,
        low=test.low,
        high=test.high,
        p=test.p,
        p_holm=p_holm,
        p_flips=test.p_flips,
        cohen_d=test.cohen_d,
        hedges_g=test.hedges_g,
        seconds=_ratio(found, key, "seconds"),
        latency=_ratio(found, key, "latency"),
        params=params[0] / params[1] if params[0] and params[1] else None,
    )


def _ratio(found: Sides, key: tuple[str, ...], of: str) -> Interval:
    """A / B over the common seeds that ran on one machine."""
    a, b = found.a[key], found.b[key]
    free = found.kind in ("store", "hardware")
    common = [s for s in sorted(a.keys() & b.keys()) if free or _host(a[s]) == _host(b[s])]
    return ratio_interval([_cost(a[s], of) for s in common], [_cost(b[s], of) for s in common])


def _host(record: Record) -> str:
    return str(record.machine.get("host"))


def _cost(record: Record, of: str) -> float | None:
    cost: Cost = parts(record)[2]
    if of == "seconds":
        return cost.seconds.training
    one = cost.latency_ms.get("1")
    return one.p50 if one else None
