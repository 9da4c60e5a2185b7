"""A mean that a few wild values do not move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from quintain.stats.margin import Mean

TRIM = 0.2  # of the values, at each end


def trimmed_mean(*columns: Sequence[float], trim: float = TRIM) -> Mean:
    """The mean without the lowest and the highest `trim` of the values, and its standard error.

    The error comes from the Winsorized deviations, and what is left less one are the degrees of
    freedom of Student's t (Tukey and McLaughlin 1963; Yuen 1974). Of several columns, whose rows
    were measured together, it is the mean of their trimmed means; the error then comes from each
    row's mean of the Winsorized deviations (Yuen's test of dependent groups: Wilcox 2012, 5.9.5).

    Raises:
        ValueError: fewer than two values, columns of unequal length, or `trim` is not in [0, 0.5).
    """
    sizes = {len(values) for values in columns}
    if len(sizes) != 1 or min(sizes) < 2 or not 0 <= trim < 0.5:
        raise ValueError(f"expected two values or more and a share below 0.5, got {sizes}, {trim}")
    n = sizes.pop()
    parts = [_trimmed(values, int(trim * n)) for values in columns]
    away = [math.fsum(row) / len(row) for row in zip(*(one.away for one in parts), strict=True)]
    kept = n - 2 * int(trim * n)
    error = math.sqrt(math.fsum(value**2 for value in away) / (kept * (kept - 1)))
    return Mean(math.fsum(one.mean for one in parts) / len(parts), error, kept - 1, n)


class _Trimmed(NamedTuple):
    mean: float
    away: list[float]  # Winsorized deviations, in the order of the values


def _trimmed(values: Sequence[float], cut: int) -> _Trimmed:
    kept = sorted(values)[cut : len(values) - cut]
    held = [min(max(value, kept[0]), kept[-1]) for value in values]  # Winsorized
    middle = math.fsum(held) / len(held)
    return _Trimmed(math.fsum(kept) / len(kept), [value - middle for value in held])
