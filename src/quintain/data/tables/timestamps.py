"""Find the column of times in a table, parse it, and infer the frequency.

Times are int64: microseconds since 1970 (in UTC if the file has offsets), or, if the file has plain
numbers such as years, these multiplied by a million. `pandas.infer_freq` fails for a series with
missing steps, and `pandas.to_datetime` guesses whether 01.02.2024 is in January or February, so
neither is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from quintain.data.files.problems import abbreviate
from quintain.data.tables.columns import read_numbers
from quintain.data.tables.table import Table, is_number
from quintain.errors import DataError

Int64 = npt.NDArray[np.int64]

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
UNITS = {
    "week": 7 * DAY,
    "day": DAY,
    "hour": 3600 * SECOND,
    "minute": 60 * SECOND,
    "second": SECOND,
}
TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds", "year")
"""Names of numeric columns that are taken for times."""


_THREE_NUMBERS = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}(?=$|[ T,])")
_AMBIGUOUS_FORMATS = ("%d.%m.%Y", "%m.%d.%Y", "%d.%m.%y", "%m.%d.%y", "%Y.%m.%d")


@dataclass(frozen=True)
class Times:
    """A column of times, (rows,); `is_dated` is False if they are plain numbers."""

    values: Int64
    is_dated: bool

    def format(self, row: int) -> str:
        return format_time(int(self.values[row]), self.is_dated)


@dataclass(frozen=True)
class Frequency:
    """The length of a step: `months` calendar months if not 0, else `step` as in `Times`."""

    step: int
    months: int
    is_dated: bool

    @property
    def text(self) -> str:
        """The step as text, such as `1 hour` or `3 months`."""
        if self.months:
            return _count(self.months, "month")
        if self.is_dated:
            for unit, size in UNITS.items():
                if self.step % size == 0:
                    return _count(self.step // size, unit)
        return f"{self.step / SECOND:g}{' seconds' if self.is_dated else ''}"

    @property
    def season(self) -> int:
        """Steps of the usual seasonal period; 0 if there is none.

        It is a day for minutes and hours, a week for days, and a year for weeks and months.
        """
        if self.months:
            return 12 // self.months if self.months < 12 and 12 % self.months == 0 else 0
        if not self.is_dated:
            return 0
        if self.step in (DAY, 7 * DAY):
            return 7 if self.step == DAY else 52
        divides_day = DAY % self.step == 0 and UNITS["minute"] <= self.step < DAY
        return DAY // self.step if divides_day else 0


def find_time_column(
    table: Table,
    without: Iterable[str],
    time_format: str | None = None,
    *,
    refuse_unknown_dates: bool = True,
) -> str | None:
    """Return the column of dates, else the numeric column whose name is in `TIME_NAMES`.

    Args:
        table: table to search.
        without: columns to ignore.
        time_format: as in `strptime`; None: ISO 8601.
        refuse_unknown_dates: raise if no column has times, but one looks like dates of an unknown
            format, because the rows would then be used in the order of the file.

    Raises:
        DataError: several columns contain times, none has times of this format, or (see
            `refuse_unknown_dates`) one has dates of an unknown format.
    """
    excluded = set(without)
    names = [name for name in table.columns if name not in excluded]
    dated = [name for name in names if _contains_dates(table.columns[name], time_format)]
    named = [name for name in dated or names if name.casefold() in TIME_NAMES]
    columns = named if not dated or (time_format is not None and named) else dated
    if not columns and time_format is not None:
        raise DataError(
            f"{table.path}: no column has times of the format {time_format}; the first row has "
            + ", ".join(f"{name!r}: {table.columns[name][0]!r}" for name in names[:8])
        )
    if not columns and refuse_unknown_dates:
        for name in names:
            if _resembles_dates(table.columns[name]):
                raise DataError(
                    f"{table.path}: column {name!r} looks like dates ({table.columns[name][0]!r}) "
                    "of an unknown format; set it (dataset.time_format=%d.%m.%Y, for example), or "
                    "select the channels (dataset.covariates=[…])"
                )
    if len(columns) > 1:
        raise DataError(
            f"{table.path}: several columns have times ({', '.join(map(repr, columns))}); choose "
            "one (dataset.time=…), and leave the others out (dataset.covariates=[…])"
        )
    return columns[0] if columns else None


def read_times(table: Table, name: str, time_format: str | None = None) -> Times:
    """Parse a column of numbers or times.

    `time_format` is as in `strptime`; None: ISO 8601 (2024-01-31, 2024-01, 2024-01-31T13:00+01:00).

    Raises:
        DataError: there is no such column, it has values that are not times, or only some of them
            have an offset from UTC.
    """
    values = table.column(name)
    if time_format is None and all(map(is_number, values)):
        numbers = read_numbers(table, name)
        if not np.isnan(numbers).any():
            return Times(np.rint(numbers * SECOND).astype(np.int64), is_dated=False)
    parsed = [_parse(value, time_format) for value in values]
    if bad := [row for row, value in enumerate(parsed) if value is None]:
        iso = "ISO 8601 times (2024-01-31 13:00:00)"
        expected = f"times of the format {time_format}" if time_format else iso
        examples = abbreviate((f"{table.position(k)} has {values[k]!r}" for k in bad), shown=3)
        hint = "" if time_format else "; set another format with dataset.time_format=%d.%m.%Y"
        raise DataError(
            f"{table.path}, column {name!r}: expected {expected}; {', '.join(examples)}{hint}"
        )
    times = [value for value in parsed if value is not None]
    with_offset = sum(value.tzinfo is not None for value in times)
    if with_offset not in (0, len(times)):
        raise DataError(
            f"{table.path}, column {name!r}: {with_offset} of {len(times)} times have an offset "
            "from UTC; expected all or none"
        )
    microseconds = np.array(list(map(_without_offset, times)), "datetime64[us]")
    return Times(microseconds.astype(np.int64), is_dated=True)


def parse_time_as(text: str, is_dated: bool) -> int:
    """Parse a border, an ISO 8601 time if `is_dated`, else a number; may raise ValueError."""
    try:
        if not is_dated:
            return round(float(text) * SECOND)
        if (parsed := _parse(text, None)) is not None:
            return int(np.datetime64(_without_offset(parsed), "us").astype(np.int64))
    except ValueError:
        pass
    expected = "a time such as 2024-01-31" if is_dated else "a number"
    raise ValueError(f"borders: expected {expected}, got {text!r}")


def infer_frequency(times: Times) -> tuple[Frequency, Int64 | None]:
    """Return the frequency of ascending times, and the step of each time, from 0.

    The frequency is the most common difference; it is in months if all times are on the same day of
    the month, or all on the last day. The steps are None if some times are between two steps.
    """
    values = times.values
    if times.is_dated and (months := _to_months(values)) is not None:
        unit = _most_common(np.diff(months))
        frequency, values = Frequency(0, unit, True), months
    else:
        unit = _most_common(np.diff(values))
        frequency = Frequency(unit, 0, times.is_dated)
    steps, remainder = np.divmod(values - values[0], unit)
    return frequency, None if remainder.any() else steps


def format_time(value: int, is_dated: bool) -> str:
    return str(np.datetime64(value, "us").item()) if is_dated else f"{value / SECOND:g}"


def _parse(value: Any, time_format: str | None) -> datetime | None:
    """Return a time of this format (None: ISO 8601, or a month); None if it is malformed."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    if time_format:
        try:
            return datetime.strptime(text, time_format)
        except ValueError:
            return None
    for candidate in (text, f"{text}-01"):
        try:
            return datetime.fromisoformat(candidate)
        except ValueError:
            continue
    return None


def _without_offset(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _contains_dates(values: Any, time_format: str | None) -> bool:
    first = _first_values(values)
    if not first or (time_format is None and any(map(is_number, first))):
        return False
    return all(_parse(value, time_format) for value in first)


def _resembles_dates(values: Any) -> bool:
    """Return whether the first values look like 05.05.2022 or 1/2/21 10:00, in one format."""
    matches = [_THREE_NUMBERS.match(str(value).strip()) for value in _first_values(values)]
    days = [match[0].replace(match[1], ".") for match in matches if match]
    return 0 < len(days) == len(matches) and any(
        all(_parse(day, time_format) for day in days) for time_format in _AMBIGUOUS_FORMATS
    )


def _first_values(values: Any) -> list[Any]:
    return [value for value in values[:20] if value not in (None, "")]


def _to_months(values: Int64) -> Int64 | None:
    """Return months since 1970 if all times are on one day of the month, or on its last day."""
    days, hours = np.divmod(values, DAY)
    if len(values) < 3 or (hours != hours[0]).any():
        return None
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day_of_month = (dates - months.astype("datetime64[D]")).astype(np.int64)
    is_last_day = (dates + 1).astype("datetime64[M]") != months
    if (day_of_month == day_of_month[0]).all() or is_last_day.all():
        return months.astype(np.int64)
    return None


def _most_common(differences: Int64) -> int:
    values, counts = np.unique(differences, return_counts=True)
    return int(values[counts.argmax()])


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
