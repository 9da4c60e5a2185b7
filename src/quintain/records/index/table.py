"""The index of a large store: a table of its records for SQL queries, updated when it is opened.

index/part-*.parquet   rows with the columns of `columns.make_query`
index/state.json       the parts that are valid, their outdated rows, the position in the journal
index/written          the journal, see `journal`

The folder may be deleted at any time. It is rebuilt if it is damaged or of another version. If the
store is read-only, the index is built in a temporary folder. Records are not validated.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow  # type: ignore[import-untyped,unused-ignore]

from quintain.errors import StoreError
from quintain.records.filesystem import read_regular_file, write_temporary
from quintain.records.index import columns
from quintain.records.index.journal import INDEX_FOLDER, copy_permissions, read_journal
from quintain.records.index.listing import list_record_files, to_string_array
from quintain.records.record_file import unseal
from quintain.records.schema import SCHEMA
from quintain.records.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

MEMORY_LIMIT = "400MB"  # for DuckDB; comparing a million keys takes about 150 MB
BATCH_SIZE = 1000  # records whose texts are in memory at once
PARQUET = "format parquet, compression zstd, row_group_size 8192"  # a row group must fit in memory
MAX_PARTS = 32  # with more, all but the largest are merged
MAX_OUTDATED = 50_000  # rows; with more, the index is rebuilt
LOCK_TIMEOUT = 600.0  # seconds to wait for another process that builds the index
_PART = re.compile(r"part-[0-9a-f]{32}\.parquet")


@dataclass
class IndexState:
    """The content of `state.json`; `outdated` lists (part, key) of rows that no longer count."""

    version: int = columns.VERSION
    parts: list[str] = field(default_factory=list)
    outdated: list[list[str]] = field(default_factory=list)
    journal: int = 0


@contextmanager
def open_table(store: Store) -> Iterator[DuckDBPyConnection]:
    """Yield a DuckDB connection with the up-to-date view `records`: one row per usable record.

    Other files are moved aside or reported, as in `Store.read`. Only one process at a time can have
    the table of a store open; others wait.

        with open_table(Store("results")) as connection:
            connection.sql("select status, count(*) from records group by status").show()

    Raises:
        StoreError: another process uses the index for too long.
        OSError: the records cannot be listed.
    """
    with ExitStack() as stack:
        yield _open_index(store, stack)


def _open_index(store: Store, stack: ExitStack) -> DuckDBPyConnection:
    import duckdb
    from filelock import FileLock

    folder = store.path / INDEX_FOLDER
    try:
        with ExitStack() as inner:
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                copy_permissions(store.path, folder)
            inner.enter_context(FileLock(folder / "lock", timeout=LOCK_TIMEOUT))
            connection = _connect(store, folder, inner)
            stack.push(inner.pop_all())
            return connection
    except TimeoutError as error:
        raise StoreError(
            f"the index {folder} has been in use by another process for {LOCK_TIMEOUT:.0f} s: "
            "end the process that hangs, or delete the folder"
        ) from error
    except (OSError, duckdb.Error) as error:
        log.info("%s cannot be used (%s); building a temporary index", folder, error)
    return _connect(store, Path(stack.enter_context(tempfile.TemporaryDirectory())), stack)


def _connect(store: Store, folder: Path, stack: ExitStack) -> DuckDBPyConnection:
    """Return a connection with the up-to-date views; a damaged index is rebuilt."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] | None = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(folder / "spill"),
        "preserve_insertion_order": False,  # otherwise whole parts would be held in memory
        "autoinstall_known_extensions": False,
    }
    connection = stack.enter_context(duckdb.connect(config=settings))
    with suppress(duckdb.InvalidInputException):  # there is no such option without ipywidgets
        connection.execute("set enable_progress_bar = false")  # on stdout
    try:
        _refresh(store, folder, connection, _load_state(folder))
    except (duckdb.Error, ValueError, TypeError, KeyError) as error:
        log.info("%s is damaged (%s); rebuilding it", folder, error)
        _refresh(store, folder, connection, IndexState())
    return connection


def _load_state(folder: Path) -> IndexState:
    """Return the state of the index; an empty one if the index is missing or of another version.

    Raises:
        ValueError, TypeError: the state is damaged.
    """
    try:
        values = json.loads((folder / "state.json").read_bytes())
    except FileNotFoundError:
        return IndexState()
    if values["version"] != columns.VERSION:
        return IndexState()
    state = IndexState(**values)
    if not all(_PART.fullmatch(name) for name in state.parts):
        raise ValueError("a part has an unexpected name")
    return state


def _save_state(folder: Path, state: IndexState) -> None:
    """Replace the state atomically, then remove the parts that it does not list."""
    target = folder / "state.json"
    os.replace(write_temporary(target, json.dumps(asdict(state)).encode()), target)
    for path in folder.glob("part-*.parquet"):
        if path.name not in state.parts:
            path.unlink(missing_ok=True)


def _refresh(store: Store, folder: Path, connection: DuckDBPyConnection, state: IndexState) -> None:
    """Index new and replaced records, and create the view `records`."""
    keys, state.journal = read_journal(folder, state.journal)
    connection.register("journal", _make_table(key=sorted(keys)))
    files = list_record_files(store.path)  # after the journal, see docs/decisions/0014
    connection.register("files", files)
    _create_views(folder, connection, state)
    new_files = _find_new_files(connection)
    outdated = _find_outdated_rows(connection, files.num_rows - new_files.num_rows)
    if len(state.outdated) + len(outdated) > MAX_OUTDATED:
        return _refresh(store, folder, connection, IndexState(journal=state.journal))
    if new_files.num_rows or outdated:
        state.outdated += outdated
        if new_files.num_rows:
            state.parts.append(_write_part(store, folder, connection, new_files))
        _create_views(folder, connection, state)
        if len(state.parts) > MAX_PARTS:
            _merge_parts(folder, connection, state)
        _save_state(folder, state)
    for (key,) in connection.sql("select key from indexed where not usable").fetchall():
        store.read(key)  # moves the file aside or reports it


def _find_new_files(connection: DuckDBPyConnection) -> pyarrow.Table:
    """Return `key` and `inode` of the files to index, sorted by inode, for sequential reading."""
    trusted = "(select key, inode from indexed anti join journal using (key))"
    new_files = connection.sql(
        f"select key, inode from files anti join {trusted} using (key, inode)"
    )
    return new_files.order("inode").to_arrow_table()


def _find_outdated_rows(connection: DuckDBPyConnection, unchanged: int) -> list[list[str]]:
    """Return (part, key) of the rows whose file was replaced or deleted.

    Shortcut: no row is outdated if there are as many rows as `unchanged` files.
    """
    rows, rewritten = connection.sql(
        "select count(*), count(*) filter (key in (select key from journal)) from indexed"
    ).fetchall()[0]
    if rows == unchanged and not rewritten:
        return []
    current = "(select key, inode from files anti join journal using (key))"
    outdated = connection.sql(
        f"select part, key from indexed anti join {current} using (key, inode)"
    )
    return [list(row) for row in outdated.fetchall()]


def _create_views(folder: Path, connection: DuckDBPyConnection, state: IndexState) -> None:
    """Create the views `indexed` (rows that are not outdated) and `records` (the usable ones)."""
    parts, keys = ([row[i] for row in state.outdated] for i in (0, 1))
    connection.register("outdated", _make_table(part=parts, key=keys))
    if state.parts:
        paths = ", ".join(_quote(folder / name) for name in state.parts)
        rows = f"read_parquet([{paths}], filename = true)"
    else:
        no_texts = "(select '' as key, 0::ubigint as inode, '' as text limit 0)"
        rows = f"(select *, '' as filename from ({columns.make_query(no_texts, SCHEMA)}))"
    connection.execute(
        "create or replace temp view indexed as select * from "
        f"(select * exclude (filename), parse_filename(filename) as part from {rows}) "
        "anti join outdated using (part, key)"
    )
    connection.execute(
        "create or replace temp view records as "
        "select * exclude (inode, usable, part) from indexed where usable"
    )


def _write_part(
    store: Store, folder: Path, connection: DuckDBPyConnection, files: pyarrow.Table
) -> str:
    """Write the rows of these files to a new part; return its name."""
    name = f"part-{uuid.uuid4().hex}.parquet"
    schema = files.schema.append(pyarrow.field("text", pyarrow.string()))
    batches = _read_texts(store, files, schema)
    connection.register("texts", pyarrow.RecordBatchReader.from_batches(schema, batches))
    _export(connection, columns.make_query("texts", SCHEMA), folder / name)
    connection.unregister("texts")
    return name


def _read_texts(
    store: Store, files: pyarrow.Table, schema: pyarrow.Schema
) -> Iterator[pyarrow.RecordBatch]:
    """Yield `files` in batches with a column `text`; empty where a file is damaged."""
    records = str(store.path / "records")
    for batch in files.to_batches(max_chunksize=BATCH_SIZE):
        keys = batch["key"].to_pylist()
        texts = [_read_text(f"{records}/{key[:2]}/{key}.json") for key in keys]
        arrays = [batch["key"], batch["inode"], to_string_array(texts)]
        yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def _read_text(file: str) -> bytes:
    try:
        text = unseal(read_regular_file(file))
        text.decode()
    except (OSError, ValueError):
        return b""
    return text


def _merge_parts(folder: Path, connection: DuckDBPyConnection, state: IndexState) -> None:
    """Merge all parts except the largest into one."""
    largest = max(state.parts, key=lambda name: (folder / name).stat().st_size)
    name = f"part-{uuid.uuid4().hex}.parquet"
    rows = f"select * exclude (part) from indexed where part <> '{largest}'"
    _export(connection, rows, folder / name)
    state.parts = [largest, name]
    state.outdated = [row for row in state.outdated if row[0] == largest]
    _create_views(folder, connection, state)


def _export(connection: DuckDBPyConnection, query: str, target: Path) -> None:
    connection.execute(f"copy ({query}) to {_quote(target)} ({PARQUET})")


def _make_table(**texts: Sequence[str]) -> pyarrow.Table:
    arrays = [to_string_array([text.encode() for text in column]) for column in texts.values()]
    return pyarrow.Table.from_arrays(arrays, names=list(texts))


def _quote(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
