"""Ratios of positive quantities such as seconds, on the log scale.

There 2× and 0.5× are equally far from 1×, and a against b says the same as b against a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from quintain.stats.intervals import Interval, mean_interval


def ratio_interval(
    a: Sequence[float | None], b: Sequence[float | None], *, level: float = 0.95
) -> Interval:
    """Geometric mean of a[i] / b[i] and its interval: exp of the t interval of log ratios.

    One pair has a ratio and no interval. A value that is missing or not positive makes all missing.

    Raises:
        ValueError: the two differ in length.
    """
    logs = [_log_ratio(ours, theirs) for ours, theirs in zip(a, b, strict=True)]
    found = mean_interval(logs, level)
    return Interval(_exp(found.mean), _exp(found.low), _exp(found.high), found.n)


def _log_ratio(a: float | None, b: float | None) -> float | None:
    if a is None or b is None or not (0 < a < math.inf and 0 < b < math.inf):
        return None
    return math.log(a) - math.log(b)


def _exp(value: float | None) -> float | None:
    if value is None:
        return None
    try:
        return math.exp(value)
    except OverflowError:
        return None
