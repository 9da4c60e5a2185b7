"""The records of a store that a leaderboard needs, found by the index where the store is large."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

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
        return Live([record for record in store.all() if record.trial is None], 0)
    from quintain.records.table import table

    with table(store) as con:
        outdated, older = _superseded(con)
        rows = con.sql('select key, status, "group" from records where trial is null order by key')
        keys = [key for key, status, group in rows.fetchall()
                if status != "ok" or group not in outdated]  # fmt: skip
    found = (store.read(key) for key in keys)
    return Live([record for record in found if record is not None], older)


def _superseded(con: DuckDBPyConnection) -> tuple[set[str], int]:
    """The groups that a later one has answered again; and how many, but for reference rows."""
    newest: dict[str, tuple[str, str]] = {}
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


def _groups(con: DuckDBPyConnection) -> Any:
    """Group, when its last run finished, and what of a record its question depends on.

    In the order of their first keys: of two that finished in one second the first counts, as in
    `leaderboard`.
    """
    con.execute(
        'select "group", max(finished), any_value(names), any_value(cell), bool_or(reference) '
        "from records where status = 'ok' and trial is null group by \"group\" order by min(key)"
    )
    while some := con.fetchmany(SOME):
        for group, finished, names, cell, reference in some:
            chosen = Names.model_validate_json(names)
            yield (
                group,
                finished,
                Record.model_construct(names=chosen, cell=json.loads(cell), reference=reference),
            )
