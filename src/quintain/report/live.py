"""The records of a store that a leaderboard needs, found by the index where the store is large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from quintain.records.frame import LARGE
from quintain.records.schema import Names, Record
from quintain.records.store import Store
from quintain.report.variants import identity

SOME = 2000  # groups in memory at once

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Live(NamedTuple):
    """Records to rank, and how many groups of earlier code were left out among them."""

    records: list[Record]
    older: int


def live(store: Store) -> Live:
    """All records but the trials of searches; of a large store without what is superseded, too.

    To read and validate a record takes 1 ms; the index of a large store (`records.table`) tells
    which of them no leaderboard shows: trials, and groups whose question later code has answered.
    """
    if find_spec("duckdb") is None or len(store.files()) <= LARGE:
        return _every(store)
    try:
        keys, older = _indexed(store)
    except (ValueError, TypeError, AttributeError):  # the index has a record that is damaged
        return _every(store)
    found = [store.read(key) for key in keys]
    if any(record is None for record in found):  # what it seemed to answer anew it did not
        return _every(store)
    return Live([record for record in found if record is not None], older)


def _every(store: Store) -> Live:
    return Live([record for record in store.all() if record.trial is None], 0)


def _indexed(store: Store) -> tuple[list[str], int]:
    """The keys of what is to be read, and how many groups of earlier code there are besides."""
    from quintain.records.table import table

    with table(store) as con:
        outdated, older = _superseded(con)
        rows = con.sql('select key, status, "group", names from records where trial is null '
                       "order by key")  # fmt: skip
        keys = [key for key, status, group, names in rows.fetchall()
                if status != "ok" or (group, names) not in outdated]  # fmt: skip
    return keys, older


Group = tuple[str, str]  # a group, and what its parts are called, as text


def _superseded(con: DuckDBPyConnection) -> tuple[set[Group], int]:
    """The groups that a later one has answered again; and how many, but for reference rows."""
    newest: dict[str, tuple[datetime, Group]] = {}
    outdated, older = set(), 0
    for group, finished, found in _groups(con):
        question = identity(found)
        if question in newest:
            last, before = newest[question]
            outdated.add(before if finished > last else group)
            older += not found.reference
            if finished <= last:
                continue
        newest[question] = finished, group
    return outdated, older


def _groups(con: DuckDBPyConnection) -> Iterator[tuple[Group, datetime, Record]]:
    """Group and names, when its last run finished, and what of a record its question depends on.

    In the order of their first keys: of two that finished at once the first counts, as in
    `leaderboard`.
    """
    con.execute(
        'select "group", list(distinct finished), names, any_value(cell), '
        "bool_or(reference) from records where status = 'ok' and trial is null "
        'group by "group", names order by min(key)'
    )
    while some := con.fetchmany(SOME):
        for group, finished, names, cell, reference in some:
            chosen, settings = Names.model_validate_json(names), json.loads(cell)
            one = Record.model_construct(names=chosen, cell=settings, reference=reference)
            yield (group, names), max(map(datetime.fromisoformat, finished)), one
