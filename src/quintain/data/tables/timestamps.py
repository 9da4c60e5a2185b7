"""Read a column of times.

Times are int64: microseconds since 1970 (in UTC if the file has offsets), or, if the file has plain
numbers such as years, these multiplied by a million.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from quintain.data.files.problems import abbreviate, short_repr
from quintain.data.tables.columns import Numbers, read_numbers
from quintain.data.tables.delimited import is_number
from quintain.data.tables.table import Table
from quintain.data.tables.time_formats import (
    ISO,
    SECOND,
    Int64,
    decode_numbers,
    find_format,
    parse_time,
    suggest_formats,
)
from quintain.errors import DataError


@dataclass(frozen=True)
class Times:
    """A column of times, (rows,).

    Attributes:
        values: see the module.
        is_dated: False if they are plain numbers.
        kind: the format if it was inferred and is not ISO 8601; else "".
    """

    values: Int64
    is_dated: bool
    kind: str = ""

    def format(self, row: int) -> str:
        return format_time(int(self.values[row]), self.is_dated)


def read_times(table: Table, name: str, time_format: str | None = None) -> Times:
    """Read a column of times.

    Args:
        table: table of the column.
        name: name of the column.
        time_format: as in `strptime`; None: inferred among formats with a single reading.

    Raises:
        DataError: there is no such column, it has values that are not times, only some of them have
            an offset from UTC, or the format has a zone name.
    """
    values = table.column(name)
    if time_format is None and (numbers := read_plain_times(table, name)) is not None:
        return Times(*decode_numbers(name, numbers))
    if time_format and "%Z" in time_format:
        raise DataError(
            f"time_format={time_format}: names of time zones (%Z) mean other times on other "
            "machines; write the times in UTC, or with offsets (%z)"
        )
    chosen = time_format or find_format(first_values(values)) or ISO
    parsed = [parse_time(value, chosen) for value in values]
    if bad := [row for row, value in enumerate(parsed) if value is None]:
        raise DataError(_describe_invalid(table, name, bad, time_format, chosen))
    times = [value for value in parsed if value is not None]
    without_offset = [row for row, value in enumerate(times) if value.tzinfo is None]
    if 0 < len(without_offset) < len(times):
        raise DataError(
            f"{table.path}, column {name!r}: {len(times) - len(without_offset)} of {len(times)} "
            "times have an offset from UTC; expected all or none; without one: "
            f"{table.positions(without_offset)}"
        )
    microseconds = np.array(list(map(_without_offset, times)), "datetime64[us]")
    kind = "" if time_format or chosen == ISO else chosen
    return Times(microseconds.astype(np.int64), is_dated=True, kind=kind)


def read_plain_times(table: Table, name: str) -> Numbers | None:
    """Return a column of plain numbers; None if a value is missing or no number."""
    if not all(map(is_number, table.column(name))):
        return None
    try:
        numbers = read_numbers(table, name, "point")
    except DataError:
        return None
    return None if np.isnan(numbers).any() else numbers


def parse_time_as(text: str, is_dated: bool) -> int:
    """Parse a border, an ISO 8601 time if `is_dated`, else a number; may raise ValueError."""
    try:
        if not is_dated:
            return round(float(text) * SECOND)
        if (parsed := parse_time(text, ISO)) is not None:
            return int(np.datetime64(_without_offset(parsed), "us").astype(np.int64))
    except ValueError:
        pass
    expected = "a time such as 2024-01-31" if is_dated else "a number"
    raise ValueError(f"borders: expected {expected}, got {text!r}")


def format_time(value: int, is_dated: bool) -> str:
    return str(np.datetime64(value, "us").item()) if is_dated else f"{value / SECOND:g}"


def first_values(values: object) -> list[object]:
    """Return the values of the first 20 rows that have one."""
    return [value for value in values[:20] if value not in (None, "")]  # type: ignore[index]


def _without_offset(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _describe_invalid(
    table: Table, name: str, bad: list[int], time_format: str | None, chosen: str
) -> str:
    values = table.columns[name]
    if time_format or chosen != ISO:
        expected = f"times of the format {chosen}"
    else:
        expected = "ISO 8601 times (2024-01-31 13:00:00)"
    examples = (f"{table.position(k)} has {short_repr(values[k])}" for k in bad)
    hint = ""
    if not time_format:
        formats = suggest_formats(first_values(values)) or ["%d.%m.%Y"]
        hint = "; set another format with " + " or ".join(
            f"dataset.time_format={suggestion}" for suggestion in formats[:2]
        )
        if all(re.search(r"[ T]24:00", str(values[row])) for row in bad):
            hint = "; write 24:00 as 00:00 of the next day"
    return (
        f"{table.path}, column {name!r}: expected {expected}; "
        f"{', '.join(abbreviate(examples, shown=3))}{hint}"
    )
