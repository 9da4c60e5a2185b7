"""Find the table of a folder, and tell whether it has a header line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.folder_listing import is_data_file
from quintain.data.files.problems import Problems, printable_name
from quintain.data.tables.table import Table, read_table
from quintain.data.user_files.splits import SPLIT_NAMES
from quintain.data.user_files.usual_columns import FILE_COLUMNS, TEXT_COLUMNS

TABLE_NAMES = (
    *("metadata.csv", "metadata.jsonl", "metadata.tsv", "captions.csv", "validated.tsv"),
    *("captions.txt", "flickr8k.token.txt", "results.csv", "labels.csv"),
)
TABLE_EXTENSIONS = (".tsv", ".csv", ".jsonl", ".parquet")


def read_tables(
    path: Path, chosen: Collection[str], encoding: str | None, problems: Problems
) -> dict[Split | None, Table]:
    """Return the table at `path`; if that is a folder, its table of each split or its only one.

    `chosen` are the columns that the user has set; they tell a header line from data. `encoding` is
    that of text files; see `read_table`.
    """
    if not path.is_dir():
        table = problems.catch(_read_table, path, chosen, encoding)
        return {} if table is None else {None: table}
    files = [p for p in sorted(path.glob("[!.]*")) if p.is_file() and is_data_file(p)]
    names = {file.name.lower(): file for file in files}
    tables = {name: p for name, p in names.items() if Path(name).suffix in TABLE_EXTENSIONS}
    by_split = {
        SPLIT_NAMES[Path(name).stem]: file
        for name, file in tables.items()
        if Path(name).stem in SPLIT_NAMES
    }
    if {"train", "test"} <= by_split.keys():
        read = {s: problems.catch(_read_table, p, chosen, encoding) for s, p in by_split.items()}
        return {split: table for split, table in read.items() if table is not None}
    candidates = [names[name] for name in TABLE_NAMES if name in names]
    if not by_split and len(tables) == 1:
        candidates += tables.values()
    if candidates:
        return read_tables(candidates[0], chosen, encoding, problems)
    problems.add(
        f"{printable_name(path)} has no table: expected {', '.join(TABLE_NAMES)}, or train and "
        f"test tables ({', '.join(TABLE_EXTENSIONS)}); else give the path of the table itself"
    )
    return {}


def _read_table(path: Path, chosen: Collection[str], encoding: str | None) -> Table:
    """Read a table; without a header line, its columns are "1", "2", …."""
    plain = read_table(path, header=False, encoding=encoding)
    first_row = {str(values[0]).strip().lower() for values in plain.columns.values()}
    names = {*FILE_COLUMNS, *TEXT_COLUMNS, *(n.lower() for n in chosen if not n.isdigit())}
    # JSON lines and Parquet files always have names of columns.
    has_header = "1" not in plain.columns or bool(first_row & names)
    return read_table(path, encoding=encoding) if has_header else plain
