"""Infer the frequency of a series from its times.

`pandas.infer_freq` fails for a series with missing steps, so it is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from quintain.data.tables.time_formats import DAY, SECOND, Int64
from quintain.data.tables.timestamps import Times

UNITS = {
    "week": 7 * DAY,
    "day": DAY,
    "hour": 3600 * SECOND,
    "minute": 60 * SECOND,
    "second": SECOND,
}
MAX_JITTER: Final = 0.02  # of a step, by which times may differ from equal steps


@dataclass(frozen=True)
class Frequency:
    """The length of a step: `months` calendar months if not 0, else `step` as in `Times`.

    `jitter` is the largest difference of a time from equal steps, as a fraction of a step. Steps of
    `is_business` are days from Monday to Friday.
    """

    step: int
    months: int
    is_dated: bool
    jitter: float = 0.0
    is_business: bool = False

    @property
    def text(self) -> str:
        """The step as text, such as `1 hour` or `3 months`."""
        if self.months:
            return _count(self.months, "month")
        if self.is_business:
            return "1 business day"
        if self.is_dated:
            for unit, size in UNITS.items():
                if self.step % size == 0:
                    return _count(self.step // size, unit)
        return f"{self.step / SECOND:g}{' seconds' if self.is_dated else ''}"

    @property
    def season(self) -> int:
        """Steps of the usual seasonal period; 0 if there is none.

        It is a day for minutes and hours, a week for days (five business days), and a year for
        weeks and months.
        """
        if self.months:
            return 12 // self.months if self.months < 12 and 12 % self.months == 0 else 0
        if not self.is_dated:
            return 0
        if self.step in (DAY, 7 * DAY):
            return 5 if self.is_business else 7 if self.step == DAY else 52
        divides_day = DAY % self.step == 0 and UNITS["minute"] <= self.step < DAY
        return DAY // self.step if divides_day else 0


def infer_frequency(times: Times) -> tuple[Frequency, Int64 | None]:
    """Return the frequency of ascending times, and the step of each time, from 0.

    The frequency is the most common difference; it is in months if all times are on the same day of
    the month, or all on the last day. The steps are None if some times are between two steps, by
    more than `MAX_JITTER`.
    """
    values = times.values
    if times.is_dated and (months := _to_months(values)) is not None:
        unit = _most_common(np.diff(months))
        frequency, values = Frequency(0, unit, True), months
    else:
        unit = _most_common(np.diff(values))
        frequency = Frequency(unit, 0, times.is_dated)
    if frequency.is_dated and unit == DAY and (days := _to_business_days(values)) is not None:
        return Frequency(DAY, 0, True, is_business=True), days
    steps, remainder = np.divmod(values - values[0], unit)
    if not remainder.any():
        return frequency, steps
    return (frequency, None) if frequency.months else _fit_steps(times)


def _to_business_days(values: Int64) -> Int64 | None:
    """Return business days since the first time; None if some are on a weekend, or all in a week.

    All times must be at the same time of day.
    """
    days, hours = np.divmod(values, DAY)
    dates = days.astype("datetime64[D]")
    is_longer = values[-1] - values[0] >= 14 * DAY
    if not is_longer or (hours != hours[0]).any() or not np.is_busday(dates).all():
        return None
    return np.busday_count(dates[0], dates).astype(np.int64)


def _fit_steps(times: Times) -> tuple[Frequency, Int64 | None]:
    """Fit equal steps to times with jitter, such as 0, 0.016667, 0.033333 (60 Hz)."""
    differences = np.diff(times.values)
    unit = float(np.median(differences))
    steps = np.concatenate([[0], np.rint(differences / unit).cumsum().astype(np.int64)])
    rounded = Frequency(_most_common(differences), 0, times.is_dated)
    if steps[-1] < 1 or (np.diff(steps) < 1).any():
        return rounded, None
    slope, start = np.polyfit(
        steps.astype(float), (times.values - times.values[0]).astype(float), 1
    )
    errors = np.abs(start + slope * steps - (times.values - times.values[0])) / slope
    jitter = float(errors.max())
    if not jitter <= MAX_JITTER:
        return rounded, None
    return Frequency(_round_step(slope), 0, times.is_dated, jitter), steps


def _round_step(step: float) -> int:
    """Return the step in microseconds, rounded to a full unit if it is nearly one."""
    for size in UNITS.values():
        multiple = round(step / size)
        if multiple and abs(step - multiple * size) < 1e-4 * step:
            return multiple * size
    return max(1, round(step))


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
