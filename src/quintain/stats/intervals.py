"""Intervals and percentiles, as pure functions on plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from quintain.stats.student import student_quantile


class Interval(NamedTuple):
    """A mean over `n` values and its confidence interval; None where it cannot be had."""

    mean: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width, in the values' unit."""
        if self.low is None or self.high is None:
            return None
        return self.high / 2 - self.low / 2


def mean_interval(values: Iterable[float | None], level: float = 0.95) -> Interval:
    """Mean and its two-sided interval by Student's t, for independent values such as seeds.

    One value has a mean and no interval. A missing or non-finite value makes all of it missing:
    a mean over the rest would be another quantity. `n` counts every value given. An interval that
    no float can hold is missing too.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    given = list(values)
    known = [float(value) for value in given if value is not None and math.isfinite(value)]
    n = len(given)
    if not known or len(known) < n:
        return Interval(None, None, None, n)
    _, power = math.frexp(max(abs(value) for value in known))
    known = [math.ldexp(value, -power) for value in known]  # below 1: no square over- or underflows
    mean = known[0] + math.fsum(value - known[0] for value in known) / n
    if n == 1:
        return Interval(math.ldexp(mean, power), None, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    half = student_quantile(0.5 + level / 2, n - 1) * deviation / math.sqrt(n)
    try:
        low, high = math.ldexp(mean - half, power), math.ldexp(mean + half, power)
    except OverflowError:
        return Interval(math.ldexp(mean, power), None, None, n)
    return Interval(math.ldexp(mean, power), low, high, n)


def percentiles(values: Sequence[float], wanted: Sequence[float]) -> list[float | None]:
    """The wanted percentiles (0 to 100), linear between neighbours; None for no values.

    Raises:
        ValueError: a wanted percentile is outside 0 to 100.
    """
    if any(not 0 <= p <= 100 for p in wanted):
        raise ValueError(f"expected percentiles from 0 to 100, got {list(wanted)}")
    ordered = sorted(values)
    if not ordered:
        return [None for _ in wanted]
    return [_at(ordered, p / 100 * (len(ordered) - 1)) for p in wanted]


def _at(ordered: Sequence[float], position: float) -> float:
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (position - below))
