"""Find the columns of a table by their usual names, and read the column of splits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from quintain.contracts import Split
from quintain.data.files.problems import MAX_LISTED, abbreviate, short_repr
from quintain.data.tables.columns import read_texts
from quintain.data.tables.table import Table
from quintain.data.user_files.splits import SPLIT_NAMES
from quintain.errors import DataError, nearest

FILE_COLUMNS = (
    *("file", "filename", "file_name", "path", "image", "image_path", "audio", "audio_path"),
    *("image_name", "video", "video_path", "id"),
)
TEXT_COLUMNS = (
    *("caption", "captions", "sentence", "sentences", "normalised", "normalized"),
    *("normalized_text", "transcript", "transcription", "text", "comment"),
)
SPLIT_COLUMNS = ("split", "set", "partition", "subset")
"""Usual names of columns, in lower case; the first that exists is used."""


def find_column(table: Table, usual: Sequence[str]) -> str | None:
    """Return the first column with one of these names in any case, or None."""
    by_lower = {name.lower(): name for name in table.columns}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def choose_column(
    table: Table, chosen: str | None, usual: Sequence[str], fallback: str, setting: str
) -> str:
    """Return the user's column, else the first usual name that exists, else `fallback`."""
    if chosen is not None:
        table.column(chosen)
        return chosen
    name = find_column(table, usual) or fallback
    if not name:
        raise DataError(
            f"{table.path} has no column with a usual name for the {setting}; set {setting}=…"
            f"{nearest(repr(usual[0]), map(short_repr, table.columns), MAX_LISTED)}"
        )
    return name


def repeat_listed(table: Table, column: str) -> Table:
    """Return a table that has a row for each text of the lists in `column`."""
    values = [value if isinstance(value, list) else [value] for value in table.column(column)]
    if all(isinstance(value, str) or value is None for value in table.column(column)):
        return table
    rows = [k for k, texts in enumerate(values) for _ in texts or [None]]
    columns = {name: [cells[k] for k in rows] for name, cells in table.columns.items()}
    columns[column] = [text for texts in values for text in texts or [None]]
    return replace(table, columns=columns, row_numbers=[table.row_numbers[k] for k in rows])


def find_given_splits(
    table: Table, without: Collection[str]
) -> tuple[list[Split | None], list[str]]:
    """Return the split of each row by a column with a usual name, None without one, and a note.

    A column named split must name a split in each row; columns of the other names only count if
    they do. `without` are columns that have another meaning.
    """
    column = find_column(table, SPLIT_COLUMNS)
    if column is None or column in without:
        return [None] * len(table), []
    try:
        return read_split_column(table, column), [f"splits: column {column!r} (inferred)"]
    except DataError:
        if column.lower() == SPLIT_COLUMNS[0]:
            raise
        return [None] * len(table), []


def read_split_column(table: Table, column: str) -> list[Split | None]:
    """Return the split of each row; raise DataError for a value that names none."""
    values = [value.strip().lower() for value in read_texts(table, column)]
    if unknown := sorted(set(values) - SPLIT_NAMES.keys()):
        raise DataError(
            f"{table.path}, column {column!r}: expected train, val or test; got "
            f"{', '.join(abbreviate(map(repr, unknown)))}"
        )
    return [SPLIT_NAMES[value] for value in values]
