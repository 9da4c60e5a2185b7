"""Times of a series: read, ordered, and laid on a grid of equal steps.

Times are int64: microseconds since 1970 (UTC where the file has offsets), or, where the file has
plain numbers such as years, these in millionths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import some
from quintain.kit.tables.columns import numbers
from quintain.kit.tables.table import Table

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
_THREE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}(?=$|[ T,])")
_USUAL = ("%d.%m.%Y", "%m.%d.%Y", "%d.%m.%y", "%m.%d.%y", "%Y.%m.%d")
TELLING = ("time", "date", "datetime", "timestamp", "ds", "year")  # names of number columns


@dataclass(frozen=True)
class Times:
    """A column of times, one a row: `values` (rows,); `dated` is False for plain numbers."""

    values: Int64
    dated: bool

    def show(self, row: int) -> str:
        """One time for people."""
        return show(int(self.values[row]), self.dated)


@dataclass(frozen=True)
class Frequency:
    """Equal steps: in microseconds (millionths), or calendar months where `months` is not 0."""

    step: int
    months: int
    dated: bool

    @property
    def words(self) -> str:
        """`1 hour`, `3 months`."""
        if self.months:
            return _many(self.months, "month")
        if not self.dated:
            return f"{self.step / SECOND:g}"
        for unit, size in UNITS.items():
            if self.step % size == 0:
                return _many(self.step // size, unit)
        return f"{self.step / SECOND:g} seconds"

    @property
    def season(self) -> int:
        """Steps of a usual cycle: a day of minutes or hours, a week of days, a year of weeks or
        months; 0 where there is none.
        """
        if self.months:
            return 12 // self.months if self.months < 12 and 12 % self.months == 0 else 0
        if not self.dated:
            return 0
        if self.step in (DAY, 7 * DAY):
            return 7 if self.step == DAY else 52
        whole = DAY % self.step == 0 and UNITS["minute"] <= self.step
        return DAY // self.step if whole and self.step < DAY else 0


def find_time(
    table: Table, without: Iterable[str], form: str | None = None, *, whole: bool = True
) -> str | None:
    """The column that holds times: one that reads as dates, else a number column of a usual name.

    Args:
        table: of the user.
        without: columns that hold something else.
        form: of the times, as in Python's `strptime`; None: ISO 8601.
        whole: every column may count; a table whose channels were named may have other dates.

    Raises:
        DataError: several do, none does where their form was given, or one has dates in another
            form: without them the rows would be taken in the order of the file.
    """
    names = [name for name in table.columns if name not in set(without)]
    found = [name for name in names if _looks_dated(table.columns[name], form)]
    told = [name for name in found or names if name.casefold() in TELLING]
    found = told if not found or (form is not None and told) else found
    if not found and form is not None:
        raise DataError(
            f"{table.path}: no column holds times of the form {form}; the first row has "
            + ", ".join(f"{name!r}: {table.columns[name][0]!r}" for name in names[:8])
        )
    if (
        whole
        and not found
        and (like := [name for name in names if _like_dates(table.columns[name])])
    ):
        raise DataError(
            f"{table.path}: column {like[0]!r} looks like dates ({table.columns[like[0]][0]!r}) in"
            " a form that is not known; say which (dataset.time_format=%d.%m.%Y, say), or name the"
            " channels (dataset.covariates=[…])"
        )
    if len(found) > 1:
        raise DataError(
            f"{table.path}: several columns hold times ({', '.join(map(repr, found))}); say which "
            "(dataset.time=…), and leave the others out (dataset.covariates=[…])"
        )
    return found[0] if found else None


def read_times(table: Table, name: str, form: str | None = None) -> Times:
    """A column of ISO 8601 times (2024-01-31, 2024-01, 2024-01-31T13:00:00+01:00) or of numbers.

    Args:
        form: another form, as in Python's `strptime`.

    Raises:
        DataError: no such column, values that are no times (their lines are named), or some with
            and some without an offset from UTC.
    """
    values = table.column(name)
    if form is None and _all_numbers(table, name):
        found = numbers(table, name)
        if not np.isnan(found).any():
            return Times(np.rint(found * SECOND).astype(np.int64), dated=False)
    parsed = [_parse(value, form) for value in values]
    if wrong := [row for row, value in enumerate(parsed) if value is None]:
        expected = f"times of the form {form}" if form else "ISO 8601 times (2024-01-31 13:00:00)"
        where = (f"{table.unit} {table.places[k]} has {values[k]!r}" for k in wrong)
        hint = "" if form else "; another form is told by dataset.time_format=%d.%m.%Y"
        raise DataError(
            f"{table.path}, column {name!r}: expected {expected}; "
            f"{', '.join(some(where, shown=3))}{hint}"
        )
    times = [value for value in parsed if value is not None]
    aware = sum(value.tzinfo is not None for value in times)
    if aware not in (0, len(times)):
        raise DataError(
            f"{table.path}, column {name!r}: {aware} of {len(times)} times have an offset "
            "from UTC; expected all or none"
        )
    if aware:
        times = [value.astimezone(UTC).replace(tzinfo=None) for value in times]
    return Times(np.array(times, "datetime64[us]").astype(np.int64), dated=True)


def read_time(text: str) -> int:
    """One ISO 8601 time as in a dated `Times`; raises ValueError where it is none."""
    found = _parse(text, None)
    if found is None:
        raise ValueError(f"expected an ISO 8601 time, came {text!r}")
    plain = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    return int(np.datetime64(plain, "us").astype(np.int64))


def lay_on_grid(times: Times) -> tuple[Frequency, Int64 | None]:
    """The frequency of ascending times, and the step of each, from 0; None: some lie between steps.

    The step is the most common difference. Times on one day of the month (or on each month's last)
    are months apart.
    """
    values = times.values
    if times.dated and (months := _months(values)) is not None:
        step = _most_common(np.diff(months))
        frequency, values, unit = Frequency(0, step, True), months, step
    else:
        unit = _most_common(np.diff(values))
        frequency = Frequency(unit, 0, times.dated)
    places, rest = np.divmod(values - values[0], unit)
    return frequency, None if rest.any() else places


def show(value: int, dated: bool) -> str:
    """A time for people."""
    return str(np.datetime64(value, "us").item()) if dated else f"{value / SECOND:g}"


def _parse(value: Any, form: str | None) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    try:
        return datetime.strptime(text, form) if form else datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return None if form else datetime.fromisoformat(f"{text}-01")  # a month
    except ValueError:
        return None


def _looks_dated(values: Any, form: str | None) -> bool:
    shown = _first(values)
    numeric = form is None and any(map(_numeric, shown))
    return bool(shown) and not numeric and all(_parse(value, form) for value in shown)


def _like_dates(values: Any) -> bool:
    """05.05.2022, 1/2/21 10:00: all of them in one of the usual forms."""
    shown = [_THREE.match(str(value).strip()) for value in _first(values)]
    days = [match[0].replace(match[1], ".") for match in shown if match]
    return (
        bool(days)
        and len(days) == len(shown)
        and any(all(_parse(day, form) for day in days) for form in _USUAL)
    )


def _first(values: Any) -> list[Any]:
    return [value for value in values[:20] if value not in (None, "")]


def _numeric(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _all_numbers(table: Table, name: str) -> bool:
    return all(_numeric(value) for value in table.columns[name])


def _months(values: Int64) -> Int64 | None:
    """Months since 1970 where all times are on one day of the month at one hour, or on its last."""
    days, hours = np.divmod(values, DAY)
    if len(values) < 3 or (hours != hours[0]).any():
        return None
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months.astype("datetime64[D]")).astype(np.int64)
    last = (dates + 1).astype("datetime64[M]") != months
    if (day == day[0]).all() or last.all():
        return months.astype(np.int64)
    return None


def _most_common(differences: Int64) -> int:
    found, counts = np.unique(differences, return_counts=True)
    return int(found[counts.argmax()])


def _many(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
