"""Loads the records of a store that a leaderboard needs; for a large store it uses the index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from quintain.records.frame import LARGE_STORE
from quintain.records.schema import OptionNames, Record
from quintain.records.store import Store
from quintain.report.configuration_labels import configuration_key

BATCH = 2000  # groups that are fetched at once

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class CurrentRecords(NamedTuple):
    """Records to rank, and the number of groups left out that a later run has superseded."""

    records: list[Record]
    num_superseded: int


def load_current_records(store: Store) -> CurrentRecords:
    """Return all records except trials and, in a large store, superseded groups.

    A group is superseded if later code has run the same configuration. Reading and validating a
    record takes 1 ms, so for a large store the index (`records.index`) selects the records to read.
    """
    if find_spec("duckdb") is None or len(store.files()) <= LARGE_STORE:
        return _load_all(store)
    try:
        keys, num_superseded = _find_current_keys(store)
    except (ValueError, TypeError, AttributeError):  # the index contains a damaged record
        return _load_all(store)
    records = [store.read(key) for key in keys]
    if None in records:  # a damaged record may have superseded an intact one
        return _load_all(store)
    return CurrentRecords([record for record in records if record is not None], num_superseded)


def _load_all(store: Store) -> CurrentRecords:
    return CurrentRecords([record for record in store.all() if record.trial is None], 0)


def _find_current_keys(store: Store) -> tuple[list[str], int]:
    """Return the keys of the records to read, and the number of superseded groups."""
    from quintain.records.index.table import open_table

    with open_table(store) as con:
        superseded, num_superseded = _find_superseded(con)
        rows = con.sql('select key, status, "group", names from records where trial is null '
                       "order by key")  # fmt: skip
        keys = [key for key, status, group, names in rows.fetchall()
                if status != "ok" or (group, names) not in superseded]  # fmt: skip
    return keys, num_superseded


Group = tuple[str, str]  # a group, and the names of its options as JSON


def _find_superseded(con: DuckDBPyConnection) -> tuple[set[Group], int]:
    """Return the superseded groups, and how many of them are not baselines."""
    newest: dict[str, tuple[datetime, Group]] = {}
    superseded, num_superseded = set(), 0
    for group, finished, record in _read_groups(con):
        key = configuration_key(record)
        if key in newest:
            last, previous = newest[key]
            superseded.add(previous if finished > last else group)
            num_superseded += not record.baseline
            if finished <= last:
                continue
        newest[key] = finished, group
    return superseded, num_superseded


def _read_groups(con: DuckDBPyConnection) -> Iterator[tuple[Group, datetime, Record]]:
    """Yield each group, when its last run finished, and a record with only the fields for its key.

    They are sorted by their first cell keys: if two groups finished at the same time, the first one
    is kept, as in `build_leaderboard`.
    """
    con.execute(
        'select "group", list(distinct finished), names, any_value(cell), '
        "bool_or(baseline) from records where status = 'ok' and trial is null "
        'group by "group", names order by min(key)'
    )
    while batch := con.fetchmany(BATCH):
        for group, finished, names, cell, baseline in batch:
            record = Record.model_construct(
                names=OptionNames.model_validate_json(names),
                cell=json.loads(cell),
                baseline=baseline,
            )
            yield (group, names), max(map(datetime.fromisoformat, finished)), record
