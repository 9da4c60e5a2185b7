"""Formats of times in tables: text such as `05 Jan 2024`, numbers such as 20240105 or 1704412800.

Only formats with a single reading are recognised. `pandas.to_datetime` guesses whether 01.02.2024
is in January or February, so it is not used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from quintain.data.tables.columns import Numbers

Int64 = npt.NDArray[np.int64]

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
ISO: Final = "ISO 8601"
QUARTERS: Final = "quarters"

_DAYS: Final = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y-%b-%d", "%Y %b %d", "%Y%m%d"),
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d/%b/%Y", "%d.%b.%Y", "%d%b%Y", "%d. %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%b. %d, %Y"),
    *("%a %d %b %Y", "%a, %d %b %Y", "%a %b %d %Y", "%a, %b %d, %Y", "%A, %B %d, %Y"),
    *("%b %Y", "%B %Y", "%b-%Y", "%Y-%b", "%Y %b", "%Y/%m", "%Y.%m", "%b/%Y", "%YM%m"),
)
_CLOCK: Final = re.compile(
    r"(?P<day>.*[^\s,])(?P<between>, |[ T])\d{1,2}:\d{2}(?P<seconds>:\d{2})?"
    r"(?P<fraction>\.\d{1,6})?(?P<half> ?[AaPp][Mm])?(?P<zone> ?Z| UTC| GMT| ?[+-]\d{2}:?\d{2})?"
)
_QUARTER: Final = re.compile(r"(\d{4})[ -]?Q([1-4])|Q([1-4])[ /-]?(\d{4})", re.IGNORECASE)
_AMBIGUOUS_DAYS: Final = (
    *("%d.%m.%Y", "%m.%d.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d.%m.%y", "%m.%d.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y"),
    *("%y-%m-%d", "%y/%m/%d", "%d-%b-%y", "%d %b %y", "%b-%y", "%b %y", "%m/%Y", "%m-%Y"),
)
_AMBIGUOUS_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", ", %H:%M", " %I:%M %p", " %I:%M:%S %p")
_CLOCKS_ALONE: Final = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")

_UNIX_UNITS: Final = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_UNIX_RANGE: Final = (1e8, 4.2e9)  # 1973 to 2103, in seconds
_DIGITS: Final = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_YEARS: Final = (1800, 2200)
_EXCEL_RANGE: Final = (10_000, 80_000)  # days since 30 December 1899: 1927 to 2119
_EXCEL_START: Final = -25_569 * DAY


class NumericTimes(NamedTuple):
    """Times that were numbers, as in `Times`; `kind` names the format, "" for plain numbers."""

    values: Int64
    is_dated: bool
    kind: str


def find_format(values: Sequence[Any]) -> str | None:
    """Return the format of all values: ISO, QUARTERS, or as in `strptime`; None if none fits."""
    candidates = [ISO, QUARTERS] if values else []
    if values and isinstance(values[0], str):
        text = values[0].strip()
        match = _CLOCK.fullmatch(text)
        clock = _describe_clock(match) if match else ""
        candidates += [f"{day}{clock}" for day in _DAYS]
    fitting = (c for c in candidates if parse_time(values[0], c) is not None)
    return next((c for c in fitting if all(parse_time(value, c) for value in values)), None)


def suggest_formats(values: Sequence[Any]) -> list[str]:
    """Return the formats that fit all values, but are not the only ones to read such values."""
    days = (f"{day}{clock}" for day, clock in product(_AMBIGUOUS_DAYS, _AMBIGUOUS_CLOCKS))
    formats = [f for f in (*days, *_CLOCKS_ALONE) if parse_time(values[0], f) is not None]
    return [f for f in formats if all(parse_time(value, f) for value in values)]


def parse_time(value: Any, time_format: str) -> datetime | None:
    """Return the time of a value in this format; None if it has another."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    if time_format == QUARTERS:
        match = _QUARTER.fullmatch(text)
        if match is None:
            return None
        return datetime(int(match[1] or match[4]), 3 * int(match[2] or match[3]) - 2, 1)
    for candidate in (text, f"{text}-01") if time_format == ISO else (text,):
        try:
            if time_format == ISO:
                return datetime.fromisoformat(candidate)
            return datetime.strptime(candidate, time_format)
        except ValueError:
            continue
    return None


def decode_numbers(name: str, numbers: Numbers) -> NumericTimes:
    """Return times of a numeric column: dates in digits, Unix times, days of Excel, or numbers.

    Args:
        name: name of the column; days of Excel must be in one with `date` in its name.
        numbers: its values, without NaN.
    """
    if (digits := _decode_digits(numbers)) is not None:
        return digits
    low, high = float(numbers.min()), float(numbers.max())
    for unit, factor in _UNIX_UNITS.items():
        if _UNIX_RANGE[0] * factor <= low and high <= _UNIX_RANGE[1] * factor:
            scale = factor / SECOND
            microseconds = numbers / scale if scale > 1 else numbers * (SECOND / factor)
            return NumericTimes(_round(microseconds), True, f"Unix {unit}")
    is_date = any(word in name.casefold() for word in ("date", "datum", "fecha"))
    if is_date and _EXCEL_RANGE[0] <= low and high <= _EXCEL_RANGE[1]:
        seconds = np.rint(numbers * 86_400)  # the days of full seconds have rounding errors
        is_exact = float(np.abs(numbers * 86_400 - seconds).max()) < 0.01
        microseconds = seconds * SECOND if is_exact else numbers * DAY
        return NumericTimes(_round(microseconds) + _EXCEL_START, True, "days of Excel")
    return NumericTimes(_round(numbers * SECOND), False, "")


def has_absolute_times(numbers: Numbers, *, must_be_dates: bool) -> bool:
    """Return whether a column has dates in digits or (not if `must_be_dates`) Unix times."""
    if not len(numbers) or numbers.min() < 1e7:
        return False
    return _decode_digits(numbers) is not None or (
        not must_be_dates and decode_numbers("", numbers).is_dated
    )


def _decode_digits(numbers: Numbers) -> NumericTimes | None:
    """Return dates such as 20240131; None if not all numbers are."""
    if (numbers != np.rint(numbers)).any() or not 1e5 <= numbers.min() <= numbers.max() < 1e14:
        return None
    texts = [str(int(number)) for number in numbers]
    time_format = _DIGITS.get(len(texts[0]))
    parsed = []
    for text in texts:
        value = parse_time(text, time_format) if time_format else None
        # 2024113 may be 3 November or 13 January
        if value is None or value.strftime(str(time_format)) != text:
            return None
        if not _YEARS[0] <= value.year <= _YEARS[1]:
            return None
        parsed.append(value)
    values = np.array(parsed, "datetime64[us]").astype(np.int64)
    return NumericTimes(values, True, str(time_format))


def _describe_clock(match: re.Match[str]) -> str:
    """Return the end of the format of a text with a time of day."""
    hour = "%I" if match["half"] else "%H"
    seconds = ":%S" if match["seconds"] else ""
    fraction = ".%f" if match["fraction"] else ""
    half = match["half"] or ""
    half = half.replace(half.strip(), "%p") if half else ""
    zone = match["zone"] or ""
    zone = re.sub(r"[+-]\d{2}:?\d{2}", "%z", zone)
    return f"{match['between']}{hour}:%M{seconds}{fraction}{half}{zone}"


def _round(numbers: Numbers) -> Int64:
    return np.rint(numbers).astype(np.int64)
