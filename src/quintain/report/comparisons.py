"""Groups results into tables: those on the same data with the same budget are comparable."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from quintain.records.schema import Record
from quintain.report.configuration_labels import (
    DIGEST_LENGTH,
    describe_settings,
    describe_variants,
    flat_settings,
    representative,
)

Item = TypeVar("Item")
GroupKey = TypeVar("GroupKey", bound=Hashable)
Group = list[Record]
"""The records of one configuration, one per seed."""
Key = tuple[str, ...]

SPEED_SETTINGS = ("measure=speed", "measure.times=alone")
"""For runs that are timed without other runs on the machine: the override, and its setting."""
_CARD_FINGERPRINT = "dataset.fingerprint"  # ignored: the fingerprint of the content counts


def group_by(items: Iterable[Item], key: Callable[[Item], GroupKey]) -> dict[GroupKey, list[Item]]:
    """Group items by their key, in the order of their first occurrence."""
    groups: dict[GroupKey, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def group_comparisons(groups: Sequence[Group]) -> Iterator[tuple[str, list[Group]]]:
    """Yield for each table the settings that distinguish it from others of its dataset, and groups.

    Two budgets with equal settings are the same, even if their names differ. A baseline does not
    depend on the budget, so it appears in every table on its data.
    """
    tables_by_score: dict[Key, dict[tuple[Key, Key], list[Group]]] = defaultdict(dict)
    for group in sorted(groups, key=lambda group: group[0].baseline):  # baselines last
        tables = tables_by_score[_score_key(group[0])]
        data = _fingerprint(group[0]), *dataset_settings(group[0])
        if group[0].baseline:
            keys = [key for key in tables if key[0] == data] or [(data, ())]
        else:
            keys = [(data, budget_settings(group[0]))]
        for key in keys:
            tables.setdefault(key, []).append(group)
    for _, tables in sorted(tables_by_score.items()):
        labels = _label_tables([representative(table[0]) for table in tables.values()])
        yield from sorted(zip(labels, tables.values(), strict=True), key=lambda pair: pair[0])


def split_by_content(group: Group) -> list[Group]:
    """Split a group by the fingerprint of the data: means over different data are not valid."""
    return list(group_by(group, _fingerprint).values())


def dataset_settings(record: Record) -> Key:
    """Return the settings of the dataset, as `key=value`."""
    return _settings_of(record, "dataset")


def budget_settings(record: Record) -> Key:
    """Return the settings of budget and measure, as `key=value`."""
    return _settings_of(record, "budget") + _settings_of(record, "measure")


def without_speed_settings(key: Sequence[str]) -> Key:
    """Return a key or overrides without `SPEED_SETTINGS`, which do not change the scores."""
    return tuple(part for part in key if part not in SPEED_SETTINGS)


def _score_key(record: Record) -> Key:
    assert record.quality  # the schema requires it of successful records
    score = record.quality.main_score
    return record.names.dataset, record.quality.main, score.direction, score.unit


def _settings_of(record: Record, part: str) -> Key:
    settings = {k: v for k, v in flat_settings(record).items() if k.split(".")[0] == part}
    return tuple(f"{k}={v}" for k, v in sorted(settings.items()) if k != _CARD_FINGERPRINT)


def _label_tables(records: Sequence[Record]) -> list[str]:
    """Return a label per table, from one record of each: its non-default settings.

    So a label does not change when other tables arrive. Only if labels are equal, for example
    because code has changed a default, they list the settings that differ; if still equal, the
    fingerprint of the data, and then that of the user files.
    """
    parts = ("dataset", "budget", "measure")
    ignored = (_CARD_FINGERPRINT, "measure.times")
    labels = [describe_settings(record, parts) for record in records]
    for label in [label for label, count in Counter(labels).items() if count > 1]:
        equal = [i for i, other in enumerate(labels) if other == label]
        variants = describe_variants([records[i] for i in equal], parts, parts, ignored)
        labels = [dict(zip(equal, variants, strict=True)).get(i, x) for i, x in enumerate(labels)]
    describers: tuple[Callable[[Record], str], ...] = (
        lambda record: f"data={_fingerprint(record)[:DIGEST_LENGTH]}",
        _files_label,
    )
    for describe in describers:
        count = Counter(labels)
        labels = [
            ", ".join(filter(None, (label, describe(record) if count[label] > 1 else "")))
            for label, record in zip(labels, records, strict=True)
        ]
    return labels


def _files_label(record: Record) -> str:
    """Return `files=<digest>`; the digest of user files may differ although the data are equal."""
    values = (setting.partition("=")[2] for setting in dataset_settings(record))
    digest = next((value for value in values if "sha256:" in value), None)
    return f"files={digest[:DIGEST_LENGTH]}" if digest else ""


def _fingerprint(record: Record) -> str:
    return record.data.fingerprint if record.data else ""
