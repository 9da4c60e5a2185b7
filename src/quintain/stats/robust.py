"""A mean that a few wild values do not move."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quintain.stats.margin import Mean

TRIM = 0.2  # of the values, at each end


def trimmed_mean(values: Sequence[float], trim: float = TRIM) -> Mean:
    """The mean without the lowest and the highest `trim` of the values, and its standard error.

    The error comes from the Winsorized deviations, and what is left less one are the degrees of
    freedom of Student's t (Tukey and McLaughlin 1963; Yuen 1974).

    Raises:
        ValueError: fewer than two values, or `trim` is not in [0, 0.5).
    """
    if len(values) < 2 or not 0 <= trim < 0.5:
        raise ValueError(f"expected two values or more and a share below 0.5, got {len(values)}")
    ordered, cut = sorted(values), int(trim * len(values))
    kept = ordered[cut : len(ordered) - cut]
    held = [min(max(value, kept[0]), kept[-1]) for value in ordered]  # Winsorized
    middle = math.fsum(held) / len(held)
    squares = math.fsum((value - middle) ** 2 for value in held)
    error = math.sqrt(squares / (len(kept) * (len(kept) - 1)))
    return Mean(math.fsum(kept) / len(kept), error, len(kept) - 1, len(values))
