"""Leaderboard rows: one configuration over its seeds, ranked among those it compares with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from quintain.contracts import Direction
from quintain.records.machines import HardwareClass, hardware_class, usual_classes
from quintain.records.schema import Cost, Data, Quality, Record
from quintain.report.comparisons import by_content, comparisons
from quintain.report.tuning import tuning_notes
from quintain.report.variants import spokesman, variants
from quintain.stats.intervals import mean_interval

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

_SHOWS = ("stem", "head", "model", "optimizer", "hardware")
"""Parts whose settings off their defaults a row shows; its comparison has the others."""
_REFERENCE_SHOWS = ("stem", "head")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration over its seeds: mean of the main score on the test split.

    `ci_low`, `ci_high` bound the 95 % interval by Student's t; None for a single seed. Means are
    None where a seed's value is missing. `trust` holds the worst of each check over the seeds.
    `comparison` says which settings of budget and data are off their defaults or set these rows
    apart from others of the dataset, empty where there are none; ranks are within it, and equal
    means have equal ranks: 1, 1, 3. `variant` says the same of the other parts. `changed` holds
    all settings off their defaults, None where the records do not tell. `notes` say what differed
    between the seeds, and which search fed them. `tie_group`, `rank_low`, `rank_high` and `p_best`
    come from tests paired by seed, see `report.standing`; None where there are none.
    """

    dataset: str
    modality: str
    task: str
    generated: bool
    metric: str
    direction: Direction
    unit: str
    comparison: str
    rank: int | None  # among the models of a comparison; references, missing means have none
    model: str
    hardware: str
    budget: str
    variant: str
    changed: dict[str, Any] | None
    reference: bool
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    seeds: list[int]
    scores: list[float | None]  # one a seed
    params: int | None
    params_asked: int | None
    train_seconds: float | None
    samples_per_second: float | None
    host: str  # that the times are of
    trust: dict[str, dict[str, Any]]
    group: str
    notes: list[str]
    tie_group: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    p_best: float | None = None


def rows(groups: Sequence[list[Record]]) -> list[Row]:
    """One row for each group of ok records and content of data, by comparison, best first.

    References have one in each comparison on their data.
    """
    found = []
    for told, together in comparisons([part for group in groups for part in by_content(group)]):
        found += _ranked(_compared(told, together))
    return found


def _compared(comparison: str, groups: Sequence[list[Record]]) -> list[Row]:
    """The rows of one comparison, with the times of one class of machines."""
    found, classes = [], usual_classes(record for group in groups for record in group)
    for group, variant in _with_variants(groups):
        timed, notes = _timed(group, classes[group[0].names.hardware])
        notes += tuning_notes(group, groups)
        found.append(_row(group, comparison, variant, timed, notes))
    return found


def by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by what `key` says of them, in the order they came."""
    found: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def column(row: Row) -> tuple[str, str, str, str]:
    """What rows of one table share."""
    return row.dataset, row.metric, row.direction, row.comparison


def usual(row: Row) -> bool:
    """Whether all settings that a row itself shows are at their defaults, as far as is known."""
    shows = _REFERENCE_SHOWS if row.reference else _SHOWS
    return row.changed is not None and not any(k.split(".")[0] in shows for k in row.changed)


def _with_variants(groups: Sequence[list[Record]]) -> list[tuple[list[Record], str]]:
    """Each group and what sets it apart from its defaults and from others of its names."""
    found = []
    for together in by(groups, _place).values():
        shows = _REFERENCE_SHOWS if together[0][0].reference else _SHOWS
        told = variants([spokesman(group) for group in together], always=shows)
        found += list(zip(together, told, strict=True))
    return found


def _place(group: list[Record]) -> tuple[str, str, str]:
    first = group[0]
    return first.names.dataset, first.names.model, "" if first.reference else first.names.hardware


def parts(record: Record) -> tuple[Data, Quality, Cost]:
    """What an ok record is sure to have."""
    assert record.data and record.quality and record.cost  # the schema demands them of an ok record
    return record.data, record.quality, record.cost


def _row(
    group: list[Record], comparison: str, variant: str, timed: list[Record], notes: list[str]
) -> Row:
    first = group[0]
    data, quality, cost = parts(first)
    score = quality.scores[quality.main]
    interval = mean_interval(record.main_test() for record in group)
    costs = [parts(record)[2] for record in timed]
    return Row(
        dataset=first.names.dataset,
        modality=data.modality,
        task=data.task,
        generated=data.generated,
        metric=quality.main,
        direction=score.direction,
        unit=score.unit,
        comparison=comparison,
        rank=None,
        model=first.names.model,
        hardware=first.names.hardware,
        budget=first.names.budget,
        variant=variant,
        changed=spokesman(group).changed,
        reference=first.reference,
        mean=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        n=interval.n,
        seeds=[record.seed for record in group],
        scores=[record.main_test() for record in group],
        params=cost.params,
        params_asked=cost.params_asked,
        train_seconds=mean_interval(each.seconds.training for each in costs).mean,
        samples_per_second=mean_interval(each.samples_per_second for each in costs).mean,
        host=_host((timed or group)[0]),
        trust=_worst(group),
        group=first.group,
        notes=notes,
    )


def _timed(group: list[Record], usual: HardwareClass) -> tuple[list[Record], list[str]]:
    """The records whose times compare; and what differs between the seeds.

    Those of one machine, which is of the class that the others' times are of; it may be none.
    """
    notes = []
    for name in ("quintain", "torch"):
        found = sorted({record.versions.get(name, "unknown") for record in group})
        if len(found) > 1:
            notes.append(f"the seeds ran under different versions of {name}: {', '.join(found)}")
    hosts = Counter(_host(record) for record in group if _class(record) == usual)
    if not hosts:
        notes.append(f"times left out: they are of {_class(group[0])}, the others' of {usual}")
        return [], notes
    ((most, count),) = hosts.most_common(1)
    if count < len(group):
        notes.append(
            f"the seeds ran on {len({_host(record) for record in group})} machines; "
            f"times are over the {count} of {len(group)} on one of them"
        )
    timed = [r for r in group if _host(r) == most and _class(r) == usual]
    return timed, notes


def _host(record: Record) -> str:
    return str(record.machine.get("host"))


def _class(record: Record) -> HardwareClass:
    return hardware_class(record.machine)


def _worst(group: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Of each check the worst seed's: doubtful before unknown before good."""
    order = {False: 0, None: 1, True: 2}
    found: dict[str, dict[str, Any]] = {}
    for record in group:
        for name, trust in record.trust.items():
            if name not in found or order[trust.ok] < order[found[name]["ok"]]:
                found[name] = {"ok": trust.ok, "note": trust.note}
    return found


def _ranked(table: list[Row]) -> list[Row]:
    """Best first; equal means share the better rank, and the next one counts them all."""
    found: list[Row] = []
    means: list[float] = []
    for row in sorted(table, key=_standing):
        rank = None
        if not row.reference and row.mean is not None:
            means.append(row.mean)
            rank = means.index(row.mean) + 1
        found.append(replace(row, rank=rank))
    return found


def _standing(row: Row) -> tuple[bool, float, str, str, str]:
    mean = row.mean or 0.0
    better_first = -mean if row.direction == "max" else mean
    return row.mean is None, better_first, row.model, row.hardware, row.variant
