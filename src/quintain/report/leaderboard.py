"""From records to leaderboard rows: who is best on which data, how sure that is, what it cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from quintain.records.schema import Record
from quintain.report.comparisons import read_as
from quintain.report.overall import Aggregate, overall
from quintain.report.rows import Row, by, column, parts, rows
from quintain.report.scaling import scaling_notes
from quintain.report.sentences import sentences
from quintain.report.standing import standing
from quintain.report.variants import identity


@dataclass(frozen=True, kw_only=True)
class Board:
    """Everything a leaderboard says. `failed` and `skipped` list cells that have no score.

    `overall` has the models over all tables, `sentences` says in words what the tests of each say.
    """

    rows: list[Row]
    overall: list[Aggregate]
    sentences: list[str]
    notes: list[str]
    failed: list[dict[str, Any]]
    skipped: list[dict[str, Any]]


def leaderboard(records: Iterable[Record], older: int = 0) -> Board:
    """Rows by dataset, best first, references among them; notes say what was left out and why.

    `older` counts groups of earlier code that were left out before, see `report.live`.
    """
    every = [record for record in records if record.trial is None]
    groups = by(every, lambda record: record.group)
    live, superseded = _newest([r for r in every if r.status == "ok"])
    superseded += older
    current = {identity(group[0]): group for group in live}
    lost = [r for r in every if r.status != "ok" and not _outdated(r, current)]
    notes = _fingerprint_notes(live) + _failure_notes(live, groups)
    notes += scaling_notes(record for group in live for record in group)
    if superseded:
        notes.append(f"{superseded} older {_plural(superseded, 'result')} of earlier code left out")
    tables = [standing(table) for table in by(rows(live), column).values()]
    runs = {(record.group, record.seed): record for group in live for record in group}
    return Board(
        rows=[row for table in tables for row in table.rows],
        overall=overall([table.rows for table in tables], runs),
        sentences=[" ".join(said) for table in tables if (said := sentences(table))],
        notes=notes,
        failed=[_lost(r, _why_failed(r)) for r in lost if r.status == "failed"],
        skipped=[_lost(r, {"reason": r.reason}) for r in lost if r.status == "skipped"],
    )


def _newest(records: Sequence[Record]) -> tuple[list[list[Record]], int]:
    """The newest group of each question, seeds in order, and how many groups were older.

    A reference row is one question on any hardware, so its other groups are not older code's.
    """
    live, older = [], 0
    for same in by(records, identity).values():
        groups = by(same, lambda record: record.group).values()
        newest = max(groups, key=lambda group: max(r.finished_at() for r in group))
        live.append(sorted(newest, key=lambda r: r.seed))
        older += 0 if newest[0].reference else len(groups) - 1
    return live, older


def _fingerprint_notes(groups: Sequence[list[Record]]) -> list[str]:
    """Data that were read alike and for one task have one content: one file may serve two tasks."""
    prints: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for record in (record for group in groups for record in group):
        data = parts(record)[0]
        prints[record.names.dataset, data.task, *read_as(record)].add(data.fingerprint)
    return [
        f"{name}: the results come from {len(found)} different versions of the data "
        "(fingerprints differ) and do not compare"
        for (name, *_), found in sorted(prints.items())
        if len(found) > 1
    ]


def _failure_notes(groups: Sequence[list[Record]], by_group: dict[str, list[Record]]) -> list[str]:
    notes = []
    for group in groups:
        cells = by_group[group[0].group]
        kinds = Counter(r.error.kind for r in cells if r.error)
        if kinds:
            names, count = group[0].names, kinds.total()
            why = ", ".join(sorted(kinds))
            notes.append(
                f"{names.dataset}/{names.model}: {count} of {len(cells)} seeds failed ({why}); "
                "the mean is over the others"
            )
    return notes


def _outdated(record: Record, current: dict[str, list[Record]]) -> bool:
    """Later code has answered the same question."""
    group = current.get(identity(record), [])
    return any(r.group != record.group and r.finished_at() > record.finished_at() for r in group)


def _lost(record: Record, why: dict[str, Any]) -> dict[str, Any]:
    names = record.names
    place = {"dataset": names.dataset, "model": names.model, "hardware": names.hardware}
    return {"key": record.key, "group": record.group} | place | {"seed": record.seed} | why


def _why_failed(record: Record) -> dict[str, Any]:
    assert record.error  # the schema demands it of a failed record
    return {"kind": record.error.kind, "type": record.error.type, "message": record.error.message}


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
