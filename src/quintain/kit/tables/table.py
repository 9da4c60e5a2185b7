"""Tables of a user's own: CSV, TSV, JSON lines and Parquet as named columns.

What is wrong is a DataError whose lines name the file, the line or row, and the column. Collect
several with `kit.problems.Problems`. Whole files are read into memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, nearest, readable, some

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
LOOKED_AT = 100  # rows from which the delimiter is inferred
LONGEST_FIELD = 1 << 26  # characters; Python's own limit of 131,072 is short for a text


@dataclass(frozen=True)
class Table:
    """Columns of equal length, in the order of the file.

    Attributes:
        path: of the file.
        columns: name → values: text (CSV), or what JSON and Parquet hold; None where one is absent.
        places: number of each row in the file, from 1: its first line, or in Parquet its row.
        unit: what `places` counts: "line" or "row".
        notes: sentences on what was inferred from the file or left out.
    """

    path: Path
    columns: Mapping[str, Sequence[Any]]
    places: Sequence[int]
    unit: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def column(self, name: str) -> Sequence[Any]:
        """The values of a column.

        Raises:
            DataError: there is none of that name; the nearest is suggested.
        """
        if name not in self.columns:
            raise DataError(f"{self.path} has no column {name!r}{nearest(name, self.columns)}")
        return self.columns[name]

    def where(self, rows: Sequence[int], shown: int = 3) -> str:
        """`line 3, line 8, line 9, 35 more`, for people."""
        return ", ".join(some((f"{self.unit} {self.places[row]}" for row in rows), shown=shown))


def read_table(path: str | Path, *, delimiter: str | None = None, header: bool = True) -> Table:
    """A table from a file, of the format that its name says; text also behind `.gz`.

    `.jsonl` and `.ndjson` are JSON lines, `.parquet` and `.pq` Parquet; all else is text with
    delimiters, UTF-8 with or without a byte-order mark, quoted as in RFC 4180. Where that does not
    fit and the delimiter is no comma, quotes are ordinary characters. Empty lines are skipped.

    Args:
        path: of the file.
        delimiter: one character; None: a tab for .tsv, else inferred from the first rows, and said.
        header: the first line names the columns; False: they are named "1", "2", ….

    Raises:
        DataError: no such file, not UTF-8, no rows, rows of unequal length, names that are twice
            there, a line that is no JSON object, a broken Parquet file. It names the lines.
    """
    file = readable(path)
    kind = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    kind = kind.lower()
    if kind in (".xlsx", ".xls", ".ods"):
        raise DataError(f"{file} is a spreadsheet; save it as CSV (UTF-8)")
    if kind in (".parquet", ".pq"):
        table = _parquet(file)
    elif kind in (".jsonl", ".ndjson", ".json"):
        table = _json_lines(file)
    else:
        table = _delimited(file, "\t" if kind == ".tsv" else None, delimiter, header)
    if not len(table):
        raise DataError(f"{file} has columns ({', '.join(some(table.columns))}), but no rows")
    return table


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file, unpacked where its name ends with `.gz`; line ends as they are.

    Raises:
        DataError: no such file, a broken archive, empty, or not UTF-8: the line is named.
    """
    file = readable(path)
    data = _bytes(file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise DataError(
            f"{file}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; the file seems to "
            f"be in {hint}: save it as UTF-8"
        ) from error
    if not text.strip():
        raise DataError(f"{file} is empty")
    return text


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 file, without their ends; as `read_text`."""
    text = read_text(path)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _bytes(file: Path) -> bytes:
    try:
        if file.suffix == ".gz":
            with gzip.open(file) as packed:
                return packed.read()
        return file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read ({error}); put it there again") from error


# Text with delimiters -----------------------------------------------------------------------------


def _delimited(file: Path, usual: str | None, given: str | None, header: bool) -> Table:
    text = read_text(file)
    notes = []
    delimiter = given or usual
    if delimiter is None:
        delimiter = _infer(text)
        notes.append(f"{file.name}: {DELIMITERS[delimiter]} between fields (inferred)")
    places, rows, plain = _rows(file, text, delimiter)
    if plain:
        notes.append(f"{file.name}: quotes are read as ordinary characters")
    if header:
        names, places, rows = rows[0], places[1:], rows[1:]
        if all(map(_is_number, names)):
            raise DataError(f"{file}: the first line has numbers; expected the columns' names")
    else:
        names = [str(k + 1) for k in range(len(rows[0]))]
    names = _names(file, names)
    _even(file, names, places, rows)
    columns = (
        dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    )
    if columns.pop("", None) is not None:
        notes.append(f"{file.name}: the column without a name is left out")
    return Table(file, columns, places, "line", tuple(notes))


def _infer(text: str) -> str:
    """The delimiter at which the first rows have equally many fields, and the most of them."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))

    def fit(delimiter: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            sizes = [len(row) for row in islice(filter(None, reader), LOOKED_AT)]
        except csv.Error:  # reading on, `_rows` names the line
            return 0.0, 0
        even = sum(size == sizes[0] for size in sizes) / len(sizes)
        return (even, sizes[0]) if sizes[0] > 1 else (0.0, 0)

    return max(DELIMITERS, key=fit)


def _rows(file: Path, text: str, delimiter: str) -> tuple[list[int], list[list[str]], bool]:
    """First lines and fields of all rows that are not empty, and whether quotes mean nothing.

    A quote that opens a word in a file with tabs or bars would swallow what follows up to the next
    one; so quotes count there only if each line has a row of its own with them as without.
    """
    try:
        places, rows = _parse(text, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        if delimiter == ",":
            raise DataError(f"{file}, {error}: double the quotes within a field") from error
        return *_parse(text, delimiter, csv.QUOTE_NONE), True
    if delimiter != "," and '"' in text:
        plain_places, plain = _parse(text, delimiter, csv.QUOTE_NONE)
        if len(plain) != len(rows) and len({len(row) for row in plain}) == 1:
            return plain_places, plain, True
    return places, rows, False


def _parse(text: str, delimiter: str, quoting: Literal[0, 3]) -> tuple[list[int], list[list[str]]]:
    """Raises csv.Error that begins with the line where the row with the fault begins."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
    )
    places, rows, last = [], [], 0
    try:
        for row in reader:
            if row:
                places.append(last + 1)
                rows.append(row)
            last = reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {last + 1}: {error}") from error
    return places, rows


def _names(file: Path, names: Sequence[str]) -> list[str]:
    stripped = [name.strip() for name in names]
    twice = sorted({name for name in stripped if stripped.count(name) > 1})
    if twice:
        raise DataError(
            f"{file}: each column needs a name of its own; twice there: "
            + ", ".join(map(repr, twice))
        )
    return stripped


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _even(file: Path, names: list[str], places: list[int], rows: list[list[str]]) -> None:
    odd = [k for k, row in enumerate(rows) if len(row) != len(names)]
    if odd:
        lines = ", ".join(some((f"line {places[k]} has {len(rows[k])}" for k in odd), shown=3))
        raise DataError(f"{file}: expected {len(names)} fields in each row; {lines}")


# JSON lines and Parquet ---------------------------------------------------------------------------


def _json_lines(file: Path) -> Table:
    places, rows, problems = [], [], Problems()
    for place, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            places.append(place)
            rows.append(problems.ask(_json_object, file, place, line) or {})
    problems.check()
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Table(file, columns, places, "line")


def _json_object(file: Path, place: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise DataError(f"{file}, line {place}: no JSON ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f'{file}, line {place}: expected an object such as {{"text": "…"}}')
    return value


def _parquet(file: Path) -> Table:
    try:
        import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise DataError(f"{file}: reading Parquet needs pyarrow: pip install pyarrow") from error
    try:
        found = ParquetFile(file).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is no complete Parquet file ({error})") from error
    names = _names(file, found.column_names)
    index = [name for name in names if name.startswith("__index_level_")]
    columns = {
        name: _plain(pa, column).to_pylist()
        for name, column in zip(names, found.columns, strict=True)
        if name not in index
    }
    notes = [f"{file.name}: the pandas index {name} is left out" for name in index]
    return Table(file, columns, range(1, found.num_rows + 1), "row", tuple(notes))


def _plain(pa: Any, column: Any) -> Any:
    """Times in microseconds, for Python's datetime knows no nanoseconds."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column
