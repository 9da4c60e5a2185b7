"""Read a user's table (CSV, TSV, JSON lines or Parquet) into named columns.

Every error is a DataError that names the file, the line or row, and the column. CSV is parsed by
the standard library, because pandas silently pads short rows and DuckDB skips malformed ones, so
that neither can report their lines.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from quintain.data.files.problems import MAX_LISTED, Problems, abbreviate, require_file, short_repr
from quintain.errors import DataError, nearest

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
SNIFFED_ROWS = 100  # rows from which the delimiter is inferred
LONGEST_FIELD = 1 << 26  # characters; Python's own limit of 131,072 is too short for long texts


@dataclass(frozen=True)
class Table:
    """The columns of a file, in its order.

    Attributes:
        path: path of the file.
        columns: name → values: strings (CSV) or Python objects (JSON, Parquet; None if missing).
        row_numbers: first line of each row in the file, from 1; in Parquet, number of the row.
        row_unit: unit of `row_numbers`: "line" or "row".
        notes: remarks about what was inferred or left out.
    """

    path: Path
    columns: Mapping[str, Sequence[Any]]
    row_numbers: Sequence[int]
    row_unit: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row_numbers)

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column; raise DataError with the nearest name if it is missing."""
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


def read_table(path: str | Path, *, delimiter: str | None = None, header: bool = True) -> Table:
    """Read a table; the extension of the file determines its format.

    `.jsonl`, `.ndjson` and `.json` are JSON lines, `.parquet` and `.pq` Parquet; everything else is
    delimited text in UTF-8, with or without a byte-order mark, quoted as in RFC 4180. If the quotes
    are malformed and the delimiter is not a comma, quotes are ordinary characters. Empty lines are
    skipped. All formats except Parquet may be gzipped (`.gz`).

    Args:
        path: path of the file.
        delimiter: one character; None: a tab for .tsv, else inferred from the first rows.
        header: whether the first line has the column names; if not, they are "1", "2", ….

    Raises:
        DataError: the file does not exist, is not UTF-8, has no rows, rows of unequal length,
            repeated column names, lines that are not JSON objects, or is not complete Parquet.
    """
    file = require_file(path)
    suffix = (file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix).lower()
    if suffix in (".xlsx", ".xls", ".ods"):
        raise DataError(f"{file} is a spreadsheet; save it as CSV (UTF-8)")
    if suffix in (".parquet", ".pq"):
        table = _read_parquet(file)
    elif suffix in (".jsonl", ".ndjson", ".json"):
        table = _read_json_lines(file)
    else:
        table = _read_delimited(file, delimiter or ("\t" if suffix == ".tsv" else None), header)
    if not len(table):
        raise DataError(f"{file} has columns ({', '.join(abbreviate(table.columns))}), but no rows")
    return table


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, unpacked if its name ends in `.gz`.

    Raises:
        DataError: the file does not exist, is empty, not UTF-8, or cannot be unpacked.
    """
    file = require_file(path)
    try:
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read ({error}); replace it") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        encoding = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise DataError(
            f"{file}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; the file seems to "
            f"be in {encoding}: save it as UTF-8"
        ) from error
    if not text.strip():
        raise DataError(f"{file} is empty")
    return text


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a UTF-8 file without their ends; see `read_text`."""
    text = read_text(path)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


# Delimited text -----------------------------------------------------------------------------------


def _read_delimited(file: Path, delimiter: str | None, header: bool) -> Table:
    text = read_text(file)
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    notes = []
    if delimiter is None:
        delimiter = _infer_delimiter(text)
        notes.append(f"{file.name}: {DELIMITERS[delimiter]} between fields (inferred)")
    lines, rows, quotes_are_text = _parse_rows(file, text, delimiter)
    if quotes_are_text:
        notes.append(f"{file.name}: quotes are read as ordinary characters")
    if header:
        names, lines, rows = rows[0], lines[1:], rows[1:]
        if all(map(is_number, names)):
            raise DataError(
                f"{file}: the first line has numbers; expected the names of the columns"
            )
    else:
        names = [str(k + 1) for k in range(len(rows[0]))]
    names = _check_names(file, names)
    if bad := [k for k, row in enumerate(rows) if len(row) != len(names)]:
        lengths = abbreviate((f"line {lines[k]} has {len(rows[k])}" for k in bad), shown=3)
        raise DataError(f"{file}: expected {len(names)} fields in each row; {', '.join(lengths)}")
    values = zip(*rows, strict=True) if rows else [()] * len(names)
    columns = dict(zip(names, values, strict=True))
    if columns.pop("", None) is not None:
        notes.append(f"{file.name}: the column without a name is left out")
    return Table(file, columns, lines, "line", tuple(notes))


def _infer_delimiter(text: str) -> str:
    """Return the delimiter that splits most of the first rows into equally many fields.

    Ties are decided by the number of fields.
    """

    def score(delimiter: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            lengths = [len(row) for row in islice(filter(None, reader), SNIFFED_ROWS)]
        except csv.Error:  # `_parse_rows` reports it with its line
            return 0.0, 0
        share = lengths.count(lengths[0]) / len(lengths)
        return (share, lengths[0]) if lengths[0] > 1 else (0.0, 0)

    return max(DELIMITERS, key=score)


def _parse_rows(file: Path, text: str, delimiter: str) -> tuple[list[int], list[list[str]], bool]:
    """Return the first line and the fields of each row, and whether quotes are ordinary characters.

    An unmatched quote in a file without commas would merge all rows up to the next quote. So, if
    reading quotes as ordinary characters gives another number of rows, all equally long, it is
    preferred.
    """
    try:
        lines, rows = _parse(text, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        if delimiter == ",":
            raise DataError(f"{file}, {error}: double the quotes within a field") from error
        return *_parse(text, delimiter, csv.QUOTE_NONE), True
    if delimiter != "," and '"' in text:
        plain_lines, plain_rows = _parse(text, delimiter, csv.QUOTE_NONE)
        if len(plain_rows) != len(rows) and len(set(map(len, plain_rows))) == 1:
            return plain_lines, plain_rows, True
    return lines, rows, False


def _parse(text: str, delimiter: str, quoting: Literal[0, 3]) -> tuple[list[int], list[list[str]]]:
    """Return the first line and the fields of each row.

    Raises:
        csv.Error: a row is malformed; the message starts with its first line.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
    )
    lines, rows, previous_line = [], [], 0
    try:
        for row in reader:
            if row:
                lines.append(previous_line + 1)
                rows.append(row)
            previous_line = reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {previous_line + 1}: {error}") from error
    return lines, rows


def _check_names(file: Path, names: Sequence[str]) -> list[str]:
    stripped = [name.strip() for name in names]
    if repeated := sorted(name for name, count in Counter(stripped).items() if count > 1):
        raise DataError(
            f"{file}: expected unique column names; duplicates: " + ", ".join(map(repr, repeated))
        )
    return stripped


def is_number(value: Any) -> bool:
    """Return whether `float` accepts the value."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


# JSON lines and Parquet ---------------------------------------------------------------------------


def _read_json_lines(file: Path) -> Table:
    lines, rows, problems = [], [], Problems()
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            lines.append(number)
            rows.append(problems.catch(_parse_json_object, file, number, line) or {})
    problems.raise_if_any()
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Table(file, columns, lines, "line")


def _parse_json_object(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise DataError(f"{file}, line {number}: this is not JSON ({error})") from error
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
