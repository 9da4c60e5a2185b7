"""The records of a large store as a table for SQL, kept beside them and brought up to date.

index/part-*.parquet   rows of `columns.extract`; later parts hold what came later
index/state.json       the parts that count, rows of them that are outdated, place in the journal
index/written          the journal, see `listing`

The folder may be deleted at any time. It is made anew where it is broken or of another version, and
in a temporary folder where the store cannot be written. Records are read, not validated; for
that there is `Store.all`. Needs duckdb: `pip install 'quintain[frame]'`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow  # type: ignore[import-untyped,unused-ignore]

from quintain.records import columns
from quintain.records.disk import write_beside
from quintain.records.journal import FOLDER, read_journal, shared_as
from quintain.records.listing import listing, strings
from quintain.records.schema import SCHEMA
from quintain.records.store import Store, StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

MEMORY = "400MB"  # for DuckDB; a million keys to be compared take some 150
BATCH = 1000  # records; their texts are in memory at once
PARQUET = "format parquet, compression zstd, row_group_size 8192"  # rows are in memory at once
MANY_PARTS = 32  # more are made one
MANY_DEAD = 50_000  # outdated rows; with more all is read again
PATIENCE = 600.0  # seconds to wait for another process that builds
_PART = re.compile(r"part-[0-9a-f]{32}\.parquet")


@dataclass
class State:
    """What counts of an index. `dead` are pairs of a part and a key whose row is outdated."""

    version: int = columns.VERSION
    parts: list[str] = field(default_factory=list)
    dead: list[list[str]] = field(default_factory=list)
    journal: int = 0


@contextmanager
def table(store: Store) -> Iterator[DuckDBPyConnection]:
    """A connection with the view `records`, up to date, one row a usable record.

    Files that cannot be used are dealt with as in `Store.read`: set aside or left, and said.
    Another process that wants the table of the same store waits until this one is done.

    Raises:
        StoreError: another process holds the index for too long.
        OSError: the records cannot be listed.
        ImportError: duckdb is not installed.
    """
    with ExitStack() as stack:
        yield _opened(store, stack)


def _opened(store: Store, stack: ExitStack) -> DuckDBPyConnection:
    import duckdb
    from filelock import FileLock

    folder = store.path / FOLDER
    try:
        with ExitStack() as inner:
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                shared_as(store.path, folder)
            inner.enter_context(FileLock(folder / "lock", timeout=PATIENCE))
            con = _fresh(store, folder, inner)
            stack.push(inner.pop_all())
            return con
    except TimeoutError as error:
        raise StoreError(
            f"the index {folder} has been in use by another process for {PATIENCE:.0f} s: "
            "end what hangs, or delete the folder"
        ) from error
    except (OSError, duckdb.Error) as error:
        log.info("%s cannot be used (%s); a temporary index is made", folder, error)
    return _fresh(store, Path(stack.enter_context(tempfile.TemporaryDirectory())), stack)


def _fresh(store: Store, folder: Path, stack: ExitStack) -> DuckDBPyConnection:
    """An up-to-date connection; an index that is broken is made anew, once."""
    import duckdb

    con = stack.enter_context(_connection(folder))
    try:
        _refresh(store, folder, con, _load(folder))
    except (duckdb.Error, ValueError, TypeError, KeyError) as error:
        log.info("%s is broken (%s); it is made anew", folder, error)
        _refresh(store, folder, con, State())
    return con


def _connection(folder: Path) -> DuckDBPyConnection:
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] | None = {
        "memory_limit": MEMORY,
        "temp_directory": str(folder / "spill"),
        "preserve_insertion_order": False,  # else parts are collected in memory
        "autoinstall_known_extensions": False,
    }
    con = duckdb.connect(config=settings)
    con.execute("set enable_progress_bar = false")  # it would go to stdout
    return con


def _load(folder: Path) -> State:
    """The state, or an empty one where there is none of this version.

    Raises:
        ValueError, TypeError: it is damaged.
    """
    try:
        values = json.loads((folder / "state.json").read_bytes())
    except FileNotFoundError:
        return State()
    state = State(**values)
    if state.version != columns.VERSION:
        return State()
    if not all(_PART.fullmatch(name) for name in state.parts):
        raise ValueError("a part has a strange name")
    return state


def _refresh(store: Store, folder: Path, con: DuckDBPyConnection, state: State) -> None:
    """Read what is new, write it as a part, and make the view `records`."""
    written, state.journal = read_journal(folder, state.journal)
    con.register("written", _texts_table(key=sorted(written)))
    listed = listing(store.path)  # after the journal, see docs/decisions/0014
    con.register("listed", listed)
    _views(folder, con, state)
    fresh = _fresh_files(con)
    stale = _outdated_rows(con, listed.num_rows - fresh.num_rows)
    if len(state.dead) + len(stale) > MANY_DEAD:
        return _refresh(store, folder, con, State(journal=state.journal))
    if fresh.num_rows or stale:
        state.dead += stale
        if fresh.num_rows:
            state.parts.append(_write_part(store, folder, con, fresh))
        _views(folder, con, state)
        if len(state.parts) > MANY_PARTS:
            _merge(folder, con, state)
        _save(folder, state)
    for (key,) in con.sql("select key from known where not usable").fetchall():
        store.read(key)  # sets the file aside or leaves it, and says why


def _fresh_files(con: DuckDBPyConnection) -> pyarrow.Table:
    """Files to read, `key` and `mark`, in the order of the disk."""
    trusted = "(select key, mark from known anti join written using (key))"
    fresh = con.sql(f"select key, mark from listed anti join {trusted} using (key, mark)")
    return fresh.order("mark").to_arrow_table()


def _outdated_rows(con: DuckDBPyConnection, unchanged: int) -> list[list[str]]:
    """The rows that count no longer, part and key.

    There is none where the index has as many rows as the listing has files that are not fresh,
    which is quick to count.
    """
    rows, again = con.sql(
        "select count(*), count(*) filter (key in (select key from written)) from known"
    ).fetchall()[0]
    if rows == unchanged and not again:
        return []
    current = "(select key, mark from listed anti join written using (key))"
    stale = con.sql(f"select part, key from known anti join {current} using (key, mark)")
    return [list(row) for row in stale.fetchall()]


def _views(folder: Path, con: DuckDBPyConnection, state: State) -> None:
    """`known`: the rows that count, with their part; `records`: those that are usable."""
    dead = _texts_table(part=[part for part, _ in state.dead], key=[key for _, key in state.dead])
    con.register("dead", dead)
    if state.parts:
        paths = ", ".join(_quoted(folder / name) for name in state.parts)
        rows = f"read_parquet([{paths}], filename = true)"
    else:
        nothing = "(select '' as key, 0::ubigint as mark, '' as text limit 0)"
        rows = f"(select *, '' as filename from ({columns.extract(nothing, SCHEMA)}))"
    con.execute(
        "create or replace temp view known as select * from "
        f"(select * exclude (filename), parse_filename(filename) as part from {rows}) "
        "anti join dead using (part, key)"
    )
    con.execute(
        "create or replace temp view records as "
        "select * exclude (mark, usable, part) from known where usable"
    )


def _write_part(store: Store, folder: Path, con: DuckDBPyConnection, fresh: pyarrow.Table) -> str:
    name = f"part-{uuid.uuid4().hex}.parquet"
    schema = fresh.schema.append(pyarrow.field("text", pyarrow.string()))
    texts = pyarrow.RecordBatchReader.from_batches(schema, _contents(store, fresh, schema))
    con.register("texts", texts)
    _copy(con, columns.extract("texts", SCHEMA), folder / name)
    con.unregister("texts")
    return name


def _contents(
    store: Store, fresh: pyarrow.Table, schema: pyarrow.Schema
) -> Iterator[pyarrow.RecordBatch]:
    """The batches of `fresh` with what the files hold; nothing where one holds no text."""
    records = str(store.path / "records")
    for batch in fresh.to_batches(max_chunksize=BATCH):
        keys = batch["key"].to_pylist()
        texts = [_content(f"{records}/{key[:2]}/{key}.json") for key in keys]
        parts = [batch["key"], batch["mark"], strings(texts)]
        yield pyarrow.RecordBatch.from_arrays(parts, schema=schema)


def _content(file: str) -> bytes:
    try:
        with open(file, "rb", buffering=0) as handle:
            text = handle.read()
        text.decode()
    except (OSError, ValueError):
        return b""
    return text


def _merge(folder: Path, con: DuckDBPyConnection, state: State) -> None:
    """Make one part of all but the largest."""
    largest = max(state.parts, key=lambda name: (folder / name).stat().st_size)
    name = f"part-{uuid.uuid4().hex}.parquet"
    rest = f"select * exclude (part) from known where part <> '{largest}'"
    _copy(con, rest, folder / name)
    state.parts = [largest, name]
    state.dead = [row for row in state.dead if row[0] == largest]
    _views(folder, con, state)


def _copy(con: DuckDBPyConnection, query: str, target: Path) -> None:
    con.execute(f"copy ({query}) to {_quoted(target)} ({PARQUET})")


def _texts_table(**texts: Sequence[str]) -> pyarrow.Table:
    values = [strings([text.encode() for text in column]) for column in texts.values()]
    return pyarrow.Table.from_arrays(values, names=list(texts))


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _save(folder: Path, state: State) -> None:
    """Replace the state in one step; then remove the parts that count no longer."""
    target = folder / "state.json"
    os.replace(write_beside(target, json.dumps(asdict(state)).encode()), target)
    for path in folder.glob("part-*.parquet"):
        if path.name not in state.parts:
            path.unlink(missing_ok=True)
