"""Builds a leaderboard from records: rankings, significance tests, costs and aggregates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from quintain.records.schema import Record
from quintain.report.comparisons import dataset_settings, group_by
from quintain.report.configuration_labels import configuration_key
from quintain.report.device_scaling import measure_scaling
from quintain.report.overall import Aggregate, aggregate_models
from quintain.report.rows import Row, build_rows, measurements, table_key
from quintain.report.seed_remarks import remark_on_seeds
from quintain.report.significance import compare_rows, describe_table
from quintain.report.table_names import name_tables


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The content of a leaderboard, independent of the format.

    `rows` are the rows of all tables, `overall` the aggregates of each model over the tables of a
    budget, `sentences` the results of each table in words. `failed` and `skipped` list the cells
    without a score.
    """

    rows: list[Row]
    overall: list[Aggregate]
    sentences: list[str]
    notes: list[str]
    failed: list[dict[str, Any]]
    skipped: list[dict[str, Any]]


def build_leaderboard(records: Iterable[Record], num_superseded: int = 0) -> Leaderboard:
    """Return the leaderboard of these records; trials of searches are ignored.

    `num_superseded` groups were left out before, see `report.current_records`.
    """
    candidates = [record for record in records if record.trial is None]
    by_group = group_by(candidates, lambda record: record.group)
    groups, superseded = _newest_groups([r for r in candidates if r.status == "ok"])
    superseded += num_superseded
    newest = {configuration_key(group[0]): group for group in groups}
    without_score = [r for r in candidates if r.status != "ok" and not _is_outdated(r, newest)]
    notes = _fingerprint_notes(groups) + _failure_notes(groups, by_group)
    scaling = measure_scaling(record for group in groups for record in group)
    notes += [result.describe() for result in scaling]
    if superseded:
        noun = "result" if superseded == 1 else "results"
        notes.append(f"{superseded} older {noun} of earlier code left out")
    by_table = group_by(build_rows(groups), table_key).values()
    tables = [compare_rows(remark_on_seeds(table)) for table in by_table]
    names = name_tables([table.rows for table in tables])
    sentences = map(describe_table, tables, names)
    runs = {(record.group, record.seed): record for group in groups for record in group}
    return Leaderboard(
        rows=[row for table in tables for row in table.rows],
        overall=aggregate_models([table.rows for table in tables], runs),
        sentences=[sentence for sentence in sentences if sentence],
        notes=notes,
        failed=[_cell(r) | _error(r) for r in without_score if r.status == "failed"],
        skipped=[_cell(r) | {"reason": r.reason} for r in without_score if r.status == "skipped"],
    )


def _newest_groups(records: Sequence[Record]) -> tuple[list[list[Record]], int]:
    """Return the newest group of each configuration, sorted by seed, and the number of others.

    Groups of a baseline are not counted: they may differ only in the hardware.
    """
    groups, superseded = [], 0
    for same in group_by(records, configuration_key).values():
        versions = group_by(same, lambda record: record.group).values()
        newest = max(versions, key=lambda group: max(r.finished_at() for r in group))
        groups.append(sorted(newest, key=lambda r: r.seed))
        superseded += 0 if newest[0].baseline else len(versions) - 1
    return groups, superseded


def _fingerprint_notes(groups: Sequence[list[Record]]) -> list[str]:
    """Return a note for each dataset with several fingerprints but equal settings and task."""
    fingerprints: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for record in (record for group in groups for record in group):
        data = measurements(record)[0]
        key = record.names.dataset, data.task, *dataset_settings(record)
        fingerprints[key].add(data.fingerprint)
    return [
        f"{name}: the results come from {len(contents)} different versions of the data "
        "(fingerprints differ) and are not comparable"
        for (name, *_), contents in sorted(fingerprints.items())
        if len(contents) > 1
    ]


def _failure_notes(groups: Sequence[list[Record]], by_group: dict[str, list[Record]]) -> list[str]:
    notes = []
    for group in groups:
        records = by_group[group[0].group]
        kinds = Counter(r.error.kind for r in records if r.error)
        if kinds:
            names = group[0].names
            failed, others = (
                ", ".join(str(r.seed) for r in sorted(part, key=lambda r: r.seed))
                for part in ([r for r in records if r.error], group)
            )
            notes.append(
                f"{names.dataset}/{names.model}: {kinds.total()} of {len(records)} seeds failed "
                f"({', '.join(sorted(kinds))}): {failed}; the mean is over {others}"
            )
    return notes


def _is_outdated(record: Record, newest: dict[str, list[Record]]) -> bool:
    """Return whether a later group of the same configuration was successful."""
    group = newest.get(configuration_key(record), [])
    return any(r.group != record.group and r.finished_at() > record.finished_at() for r in group)


def _cell(record: Record) -> dict[str, Any]:
    names = record.names.model_dump(include={"dataset", "model", "hardware"})
    return {"key": record.key, "group": record.group, **names, "seed": record.seed}


def _error(record: Record) -> dict[str, Any]:
    assert record.error  # the schema requires it of failed records
    return record.error.model_dump(include={"kind", "type", "message"})
