"""Read a user's table (CSV, TSV, JSON or Parquet) into named columns.

Every error is a DataError that names the file, the line or row, and the column.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quintain.contracts import Split
from quintain.data.files.problems import MAX_LISTED, Problems, abbreviate, require_file, short_repr
from quintain.data.tables.delimited import parse_delimited
from quintain.data.tables.text_files import (
    SPREADSHEETS,
    decode_text,
    read_unpacked,
    spreadsheet_error,
)
from quintain.data.text.unicode_form import compose
from quintain.errors import DataError, nearest


@dataclass(frozen=True)
class Table:
    """The columns of a file, in its order.

    Attributes:
        path: path of the file.
        columns: name in the Unicode form NFC → values: strings (CSV) or Python objects (JSON,
            Parquet; None if missing).
        row_numbers: first line of each row in the file, from 1; in Parquet and in a JSON array,
            number of the row.
        row_unit: unit of `row_numbers`: "line" or "row".
        notes: remarks about what was inferred or left out.
    """

    path: Path
    columns: Mapping[str, Sequence[Any]]
    row_numbers: Sequence[int | str]
    row_unit: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row_numbers)

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column; raise DataError with the nearest name if it is missing."""
        name = compose(name)
        if name not in self.columns:
            hint = nearest(repr(name), map(short_repr, self.columns), MAX_LISTED)
            raise DataError(f"{self.path} has no column {name!r}{hint}")
        return self.columns[name]

    def position(self, row: int) -> str:
        """Return the position of a row (from 0) in the file, such as `line 3`."""
        return f"{self.row_unit} {self.row_numbers[row]}"

    def positions(self, rows: Sequence[int]) -> str:
        """Return the positions of rows in the file, such as `line 3, line 8, line 9, 35 more`."""
        return ", ".join(abbreviate(map(self.position, rows), shown=3))


def read_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    header: bool = True,
    encoding: str | None = None,
) -> Table:
    """Read a table; the extension of the file determines its format.

    `.jsonl`, `.ndjson` and `.json` are JSON lines or an array of objects, `.parquet` and `.pq`
    Parquet; everything else is delimited text (`parse_delimited`). All formats except Parquet may
    be packed: gzip, bzip2, xz, or a zip file with one member.

    Args:
        path: path of the file.
        delimiter: one character; None: a tab for .tsv, else inferred from the first rows.
        header: whether the first line has the column names; if not, they are "1", "2", ….
        encoding: of text; None: UTF-8, or UTF-16 or UTF-32 with a byte-order mark.

    Raises:
        DataError: the file does not exist, cannot be decoded, has no rows, rows of unequal length,
            repeated column names, lines that are not JSON objects, or is not complete Parquet.
        ValueError: Python has no such encoding.
    """
    file = require_file(path)
    if file.suffix.lower() in SPREADSHEETS:
        raise spreadsheet_error(file)
    if file.suffix.lower() in (".parquet", ".pq"):
        table = _read_parquet(file)
    else:
        data, suffix = read_unpacked(file)
        text = decode_text(file, data, encoding)
        if suffix in (".jsonl", ".ndjson", ".json"):
            table = _read_json(file, text)
        else:
            table = _read_delimited(
                file, text, delimiter or ("\t" if suffix == ".tsv" else None), header
            )
    if not len(table):
        raise DataError(f"{file} has columns ({', '.join(abbreviate(table.columns))}), but no rows")
    return table


def join_tables(tables: Mapping[Split, Table], column: str) -> Table:
    """Return the rows of several tables, with a new column of the name of their split.

    Raises:
        DataError: the tables have different columns.
    """
    first = next(iter(tables.values()))
    for table in tables.values():
        if different := sorted(first.columns.keys() ^ table.columns.keys()):
            raise DataError(
                f"{first.path} and {table.path} have different columns: "
                f"{', '.join(abbreviate(map(repr, different)))}"
            )
    columns = {
        name: [value for table in tables.values() for value in table.columns[name]]
        for name in first.columns
    }
    columns[column] = [split for split, table in tables.items() for _ in range(len(table))]
    numbers = [f"{number} of {table.path.name}" for table in tables.values()
               for number in table.row_numbers]  # fmt: skip
    notes = dict.fromkeys(note for table in tables.values() for note in table.notes)
    return Table(first.path, columns, numbers, first.row_unit, tuple(notes))


def _read_delimited(file: Path, text: str, delimiter: str | None, header: bool) -> Table:
    content = parse_delimited(file, text, delimiter, header)
    unnamed = [k for k, name in enumerate(content.names) if not name.strip()]
    if len(unnamed) > 1 and any(row[k].strip() for row in content.rows for k in unnamed):
        raise DataError(
            f"{file}: {len(unnamed)} columns have no name in the header: "
            f"{', '.join(abbreviate(map(repr, content.names)))}; name them, and remove other lines "
            "before the header"
        )
    names, notes = content.names, content.notes
    values = list(zip(*content.rows, strict=True)) if content.rows else [()] * len(names)
    named = [k for k in range(len(names)) if k not in unnamed]
    unique = _check_names(file, [names[k] for k in named])
    columns = {name: values[k] for name, k in zip(unique, named, strict=True)}
    if unnamed:
        which = "the column" if len(unnamed) == 1 else f"{len(unnamed)} columns"
        notes.append(f"{file.name}: {which} without a name left out")
    return Table(file, columns, content.lines, "line", tuple(notes))


def _check_names(file: Path, names: Sequence[str]) -> list[str]:
    stripped = [compose(name.strip()) for name in names]
    if repeated := sorted(name for name, count in Counter(stripped).items() if count > 1):
        raise DataError(
            f"{file}: expected unique column names; duplicates: " + ", ".join(map(repr, repeated))
        )
    return stripped


# JSON and Parquet ---------------------------------------------------------------------------------


def _read_json(file: Path, text: str) -> Table:
    """Read JSON lines, or an array of objects."""
    if text.lstrip().startswith("["):
        rows = _parse_json(file, 1, text)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f'{file}: expected an array of objects such as {{"text": "…"}}')
        return _tabulate(file, rows, range(1, len(rows) + 1), "row")
    lines, rows, problems = [], [], Problems()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            lines.append(number)
            rows.append(problems.catch(_parse_json_object, file, number, line) or {})
    problems.raise_if_any()
    if len(rows) == 1 and all(isinstance(value, dict | list) for value in rows[0].values()):
        raise DataError(
            f"{file} is one object with {', '.join(abbreviate(map(repr, rows[0]), shown=3))}; "
            "expected an object for each row, one on each line or all in an array (pandas: "
            'to_json(…, orient="records"))'
        )
    return _tabulate(file, rows, lines, "line")


def _tabulate(
    file: Path, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int], unit: str
) -> Table:
    rows = [{compose(name): value for name, value in row.items()} for row in rows]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Table(file, columns, numbers, unit)


def _parse_json(file: Path, number: int, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{file}, line {number}: this is not JSON ({error})") from error


def _parse_json_object(file: Path, number: int, line: str) -> dict[str, Any]:
    value = _parse_json(file, number, line)
    if not isinstance(value, dict):
        raise DataError(f'{file}, line {number}: expected an object such as {{"text": "…"}}')
    return value


def _read_parquet(file: Path) -> Table:
    try:
        import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise DataError(
            f"{file}: reading Parquet needs pyarrow: pip install 'quintain[parquet]'"
        ) from error
    try:
        content = ParquetFile(file).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a complete Parquet file ({error})") from error
    columns, notes = {}, []
    names = _check_names(file, content.column_names)
    for name, column in zip(names, content.columns, strict=True):
        if name.startswith("__index_level_"):
            notes.append(f"{file.name}: the pandas index {name} is left out")
            continue
        if pa.types.is_timestamp(column.type):  # Python's datetime lacks nanoseconds
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        columns[name] = column.to_pylist()
    return Table(file, columns, range(1, content.num_rows + 1), "row", tuple(notes))
