"""What may be ranked together: one dataset read with one content, and one budget."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from quintain.records.schema import Record
from quintain.report.variants import SHOWN, settings, spokesman, variants

Group = list[Record]
Key = tuple[str, ...]

AGAIN = ("measure=speed", "measure.times=alone")  # as a word and as a setting

_CARD = "dataset.fingerprint"  # what a card promised; the content's own fingerprint decides


def comparisons(groups: Sequence[Group]) -> Iterator[tuple[str, list[Group]]]:
    """The groups that compare, and what tells them from others of their dataset and metric.

    Budgets are equal by their settings, whatever their names. A reference row depends on no budget
    and so appears with each one on its data.
    """
    tables: dict[Key, dict[tuple[Key, Key], list[Group]]] = defaultdict(dict)
    for group in (group for group in groups if not group[0].reference):
        found = tables[_table(group)]
        found.setdefault((_data(group[0]), budget_settings(group[0])), []).append(group)
    for group in (group for group in groups if group[0].reference):
        found, data = tables[_table(group)], _data(group[0])
        for key in [key for key in found if key[0] == data] or [(data, ())]:
            found.setdefault(key, []).append(group)
    for _, found in sorted(tables.items()):
        told = _told([spokesman(together[0]) for together in found.values()])
        yield from sorted(zip(told, found.values(), strict=True), key=lambda pair: pair[0])


def by_content(group: Group) -> list[Group]:
    """Seeds apart by the content of the data: a mean over two contents is of nothing."""
    found: dict[str, Group] = defaultdict(list)
    for record in group:
        found[_fingerprint(record)].append(record)
    return list(found.values())


def _table(group: Group) -> Key:
    assert group[0].quality  # the schema demands it of an ok record
    main = group[0].quality.main
    score = group[0].quality.scores[main]
    return group[0].names.dataset, main, score.direction, score.unit


def read_as(record: Record) -> Key:
    """The settings of the dataset."""
    return _settings(record, "dataset")


def budget_settings(record: Record) -> Key:
    """The settings of the budget, whatever its name, and whether its times were taken alone."""
    return _settings(record, "budget") + _settings(record, "measure")


def untimed(key: Sequence[str]) -> Key:
    """A key or words without `measure=speed`: what the same cell answers that is not timed alone.

    Its scores are the same numbers, so they count once.
    """
    return tuple(part for part in key if part not in AGAIN)


def _data(record: Record) -> Key:
    return _fingerprint(record), *read_as(record)


def _settings(record: Record, kind: str) -> Key:
    found = sorted(settings(record).items())
    return tuple(f"{k}={v}" for k, v in found if k.split(".")[0] == kind and k != _CARD)


def _told(records: Sequence[Record]) -> list[str]:
    """For each comparison, by its first record, what differs or is off its default.

    Data are told by content if nothing else differs, and then by the files that they came from.
    """
    kinds = ("dataset", "budget", "measure")
    told = variants(records, kinds, always=kinds, ignore=(_CARD, "measure.times"))
    for tell in (lambda r: f"data={_fingerprint(r)[:SHOWN]}", _files):
        count = Counter(told)
        told = [
            ", ".join(filter(None, (line, tell(record) if count[line] > 1 else "")))
            for line, record in zip(told, records, strict=True)
        ]
    return told


def _files(record: Record) -> str:
    """What lies in the user's files, where the dataset made of it is the same all the same."""
    values = settings(record).items()
    digests = [v for k, v in values if k.startswith("dataset.") and k != _CARD and "sha256:" in v]
    return f"files={digests[0][:SHOWN]}" if digests else ""


def _fingerprint(record: Record) -> str:
    return record.data.fingerprint if record.data else ""
