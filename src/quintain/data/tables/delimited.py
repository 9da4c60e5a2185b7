"""Parse delimited text (CSV, TSV): delimiter, lines before the header, quotes.

CSV is parsed by the standard library, because pandas silently pads short rows and DuckDB skips
malformed ones, so that neither can report their lines.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from quintain.data.files.problems import abbreviate
from quintain.errors import DataError

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
SNIFFED_ROWS = 100  # rows from which the delimiter and the number of fields are inferred
LONGEST_FIELD = 1 << 26  # characters; Python's own limit of 131,072 is too short for long texts
LONGEST_TEXT = 10  # lines of a field above which lines that look like rows cannot be a coincidence

_SEPARATOR_LINE: Final = re.compile(r'\A"?sep=(.)"?(?:\r\n|\r|\n)', re.IGNORECASE)  # Excel's own
_Options = dict[str, Any]
_QUOTED: Final[_Options] = {"quoting": csv.QUOTE_MINIMAL}
_PLAIN: Final[_Options] = {"quoting": csv.QUOTE_NONE}
_ESCAPED: Final[_Options] = {"doublequote": False, "escapechar": "\\"}


@dataclass(frozen=True)
class Delimited:
    """The column names and rows of delimited text, the first line of each row, and notes."""

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    notes: list[str]


@dataclass
class _Rows:
    """Rows, their first and last lines, and a remark on how quotes were read ("" if usual)."""

    fields: list[list[str]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    remark: str = ""


def parse_delimited(file: Path, text: str, delimiter: str | None, has_header: bool) -> Delimited:
    """Parse delimited text; quotes are those of RFC 4180, or escaped by backslashes.

    Empty lines are skipped, and so are lines before the header: `sep=;`, comments that start with
    `#`, and titles of a single field. If the quotes are malformed and the delimiter is not a comma,
    quotes are ordinary characters.

    Args:
        file: path of the file, for messages.
        text: content of the file.
        delimiter: one character; None: inferred from the first rows.
        has_header: whether the first line has the column names; if not, they are "1", "2", ….

    Raises:
        DataError: malformed or odd quotes, a first line that is no header, rows of unequal length.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    notes = []
    if match := _SEPARATOR_LINE.match(text):
        text = "\n" + text[match.end() :]  # so that line numbers stay
        delimiter = delimiter or match[1]
        notes.append(
            f"{file.name}: {DELIMITERS.get(delimiter, repr(delimiter))} between fields (sep=)"
        )
    elif delimiter is None:
        delimiter = _infer_delimiter(text)
        notes.append(f"{file.name}: {DELIMITERS[delimiter]} between fields (inferred)")
    rows = _parse_rows(file, text, delimiter)
    width = _most_common_length(rows.fields[:SNIFFED_ROWS])
    notes += _check_line_breaks(file, text, delimiter, rows, width)
    if width == 1 and delimiter in DELIMITERS:
        notes.append(
            f"{file.name}: one column; if blanks separate fields, set dataset.delimiter=' '"
        )
    if rows.remark:
        notes.append(f"{file.name}: {rows.remark}")
    if count := _count_title_rows(rows.fields, width):
        start = rows.first[count - 1]
        notes.append(f"{file.name}: lines before the header left out: the first {start}")
    fields, lines = rows.fields[count:], rows.first[count:]
    names = [str(k + 1) for k in range(len(fields[0]))]
    if has_header:
        _check_header(file, fields[0], lines[0])
        names, fields, lines = fields[0], fields[1:], lines[1:]
    _check_lengths(file, len(names), fields, lines)
    return Delimited(names, fields, lines, notes)


def is_number(value: Any) -> bool:
    """Return whether `float` accepts the value."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _infer_delimiter(text: str) -> str:
    """Return the delimiter that splits most of the first rows into equally many fields.

    Ties are decided by the number of fields.
    """

    def score(delimiter: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            rows = list(islice(filter(None, reader), SNIFFED_ROWS))
        except csv.Error:  # `_parse_rows` reports it with its line
            return 0.0, 0
        length = _most_common_length(rows)
        share = sum(len(row) == length for row in rows) / len(rows)
        return (share, length) if length > 1 else (0.0, 0)

    return max(DELIMITERS, key=score)


def _most_common_length(rows: Sequence[Sequence[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _parse_rows(file: Path, text: str, delimiter: str) -> _Rows:
    """Parse all rows.

    An unmatched quote in a file without commas would merge all rows up to the next quote. So, if
    reading quotes as ordinary characters gives another number of rows, all equally long, it is
    preferred.
    """
    try:
        rows = _parse(text, delimiter, _QUOTED)
    except csv.Error as error:
        if delimiter != ",":
            return _parse(text, delimiter, _PLAIN, "quotes are read as ordinary characters")
        if '\\"' in text:
            try:
                return _parse(text, delimiter, _ESCAPED, 'quotes within fields are written as \\"')
            except csv.Error:
                pass  # the first error is the clearer one
        raise DataError(f"{file}, {error}: double the quotes within a field") from error
    if delimiter != "," and '"' in text:
        plain = _parse(text, delimiter, _PLAIN, "quotes are read as ordinary characters")
        if len(plain.fields) != len(rows.fields) and len(set(map(len, plain.fields))) == 1:
            return plain
    return rows


def _parse(text: str, delimiter: str, options: _Options, remark: str = "") -> _Rows:
    """Parse all rows.

    Raises:
        csv.Error: a row is malformed; the message starts with its first line.
    """
    if delimiter == " ":  # as many as a person needs to align columns
        options = options | {"skipinitialspace": True}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, **options)
    rows, previous_line = _Rows(remark=remark), 0
    try:
        for row in reader:
            if row:
                rows.fields.append(row)
                rows.first.append(previous_line + 1)
                rows.last.append(reader.line_num)
            previous_line = reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {previous_line + 1}: {error}") from error
    return rows


def _check_line_breaks(file: Path, text: str, delimiter: str, rows: _Rows, width: int) -> list[str]:
    """Return a note on fields with line breaks; raise DataError if stray quotes enclose rows.

    Two stray quotes make one field of all rows between them. The lines of such a field look like
    rows: most have as many fields as the rows of the file. A text with line breaks may look so too,
    but not if it is long, and not most texts of a file.
    """
    spans = [k for k, line in enumerate(rows.first) if rows.last[k] > line]
    if not spans:
        return []
    physical = list(io.StringIO(text, newline=""))

    def resembles_rows(k: int) -> bool:
        lines = physical[rows.first[k] - 1 : rows.last[k]]
        lengths = [len(row) for row in csv.reader(lines, delimiter=delimiter, **_PLAIN)]
        return width > 1 and lengths.count(width) >= 0.9 * len(lines)

    suspects = [k for k in spans if resembles_rows(k)]
    longest = max((rows.last[k] - rows.first[k] + 1 for k in suspects), default=0)
    is_majority = len(suspects) > len(spans) / 2 and (width > 2 or longest > 2)
    if longest > LONGEST_TEXT or is_majority:
        places = (f"line {rows.first[k]} to line {rows.last[k]}" for k in suspects)
        raise DataError(
            f"{file}: quotes enclose lines that look like rows, from "
            f"{', '.join(abbreviate(places, shown=3))}; remove the odd quotes, or double them "
            'within a quoted field ("")'
        )
    lines = ", ".join(abbreviate((f"line {rows.first[k]}" for k in spans), shown=3))
    return [f"{file.name}: fields with line breaks: {len(spans):,} rows ({lines})"]


def _count_title_rows(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return the number of rows before the header: comments, and titles of a single field.

    A comment may have as many fields as the other rows by chance. It is told from a header such as
    `#date,value` by the row below, which has no number if it is the header, and the numbers below
    that, or the words of its first field.
    """
    for count in range(len(rows)):
        row, below = rows[count], rows[count + 1 : count + 4]
        is_comment = row[0].lstrip().startswith("#")
        filled = sum(map(bool, map(str.strip, row)))
        if len(row) != width:
            is_title = is_comment or filled <= 1
        else:
            is_header_below = len(below) >= 2 and not any(map(is_number, below[0]))
            has_numbers = len(below) >= 2 and any(map(is_number, below[1]))
            is_sentence = len(row[0].lstrip(" #").split()) > 1
            is_title = is_comment and is_header_below and (has_numbers or is_sentence)
            is_title |= width > 2 and filled == 1 and any(map(_is_full, below))
        if not is_title:
            return count
    return 0


def _is_full(row: Sequence[str]) -> bool:
    return all(map(str.strip, row))


def _check_header(file: Path, names: Sequence[str], line: int) -> None:
    """Raise DataError if the header has only numbers and dates."""
    if all(map(_is_number_or_date, names)):
        raise DataError(
            f"{file}: the first line has numbers, line {line}: {', '.join(abbreviate(names))}; "
            "expected the names of the columns: add them, or set dataset.header=false, and the "
            "columns are 1, 2, …"
        )


def _is_number_or_date(value: str) -> bool:
    if is_number(value):
        return True
    try:
        datetime.fromisoformat(value.strip())
    except ValueError:
        return False
    return True


def _check_lengths(file: Path, width: int, rows: Sequence[Sequence[str]], lines: list[int]) -> None:
    if bad := [k for k, row in enumerate(rows) if len(row) != width]:
        lengths = abbreviate((f"line {lines[k]} has {len(rows[k])}" for k in bad), shown=3)
        raise DataError(f"{file}: expected {width} fields in each row; {', '.join(lengths)}")
