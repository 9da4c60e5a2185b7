"""Means and ratios with confidence intervals.

SciPy is imported inside the functions, because a leaderboard of single seeds does not need it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A mean over `n` values and its confidence interval; None where it is undefined."""

    mean: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, in the unit of the values."""
        if self.low is None or self.high is None:
            return None
        return self.high / 2 - self.low / 2  # the whole width may overflow


def mean_interval(values: Iterable[float | None], level: float = 0.95) -> Interval:
    """Return the mean and its two-sided interval by Student's t.

    The values must be independent, such as the scores of several seeds. A single value has no
    interval. If a value is missing or not finite, mean and interval are None, because a mean over
    the rest would be another quantity; `n` counts all values. An interval that overflows is None.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    if not 0 <= level < 1:
        raise ValueError(f"expected a confidence level between 0 and 1, got {level}")
    all_values = list(values)
    known = [float(value) for value in all_values if value is not None and math.isfinite(value)]
    n = len(all_values)
    if not known or len(known) < n:
        return Interval(None, None, None, n)
    _, exponent = math.frexp(max(abs(value) for value in known))
    # Scale all values to magnitudes below 1, so that no square overflows or underflows.
    known = [math.ldexp(value, -exponent) for value in known]
    mean = known[0] + math.fsum(value - known[0] for value in known) / n
    if n == 1:
        return Interval(math.ldexp(mean, exponent), None, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    half = t_quantile(0.5 + level / 2, n - 1) * deviation / math.sqrt(n)
    try:
        low, high = math.ldexp(mean - half, exponent), math.ldexp(mean + half, exponent)
    except OverflowError:
        return Interval(math.ldexp(mean, exponent), None, None, n)
    return Interval(math.ldexp(mean, exponent), low, high, n)


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return the quantile of Student's t distribution (`scipy.special.stdtrit`)."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, probability))


def t_tail(t: float, degrees_of_freedom: int) -> float:
    """Return P(T > t) for Student's t distribution (`scipy.special.stdtr`)."""
    from scipy.special import stdtr

    return float(stdtr(degrees_of_freedom, -t))


def ratio_interval(
    a: Sequence[float | None], b: Sequence[float | None], *, level: float = 0.95
) -> Interval:
    """Return the geometric mean of a[i] / b[i] and its interval, from the t interval of the logs.

    Because logs are averaged, exchanging `a` and `b` gives the reciprocal. The values must be
    positive: if one is missing, not positive or not finite, the result is None. One pair has a
    ratio, no interval.

    Raises:
        ValueError: `a` and `b` differ in length.
    """
    logs = mean_interval([_log_ratio(x, y) for x, y in zip(a, b, strict=True)], level)
    return Interval(_exp(logs.mean), _exp(logs.low), _exp(logs.high), logs.n)


def _log_ratio(a: float | None, b: float | None) -> float | None:
    if a is None or b is None or not (0 < a < math.inf and 0 < b < math.inf):
        return None
    return math.log(a) - math.log(b)


def _exp(value: float | None) -> float | None:
    try:
        return None if value is None else math.exp(value)
    except OverflowError:
        return None
