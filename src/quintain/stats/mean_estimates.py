"""Stratified and trimmed means with standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

HUGE = 2.0**500  # the squares of larger numbers overflow
TRIM = 0.2  # fraction of the values that a trimmed mean leaves out at each end


class MeanEstimate(NamedTuple):
    """A mean over `n` seeds or rounds, with standard error and degrees of freedom."""

    value: float
    standard_error: float
    degrees_of_freedom: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The paired gains of one cell: candidate minus baseline, one per seed.

    `exact`: the two are known to be bitwise equal, so the gains have no variance. `floor` is the
    lower limit of the standard deviation: scores have a resolution of one test sample, so the gains
    of a few seeds may be equal by chance.
    """

    gains: Sequence[float]
    exact: bool = False
    floor: float = 0.0


def stratified_mean(strata: Sequence[Stratum]) -> MeanEstimate | None:
    """Return the mean of the means of the strata.

    The strata are fixed, the seeds are the replicates: the variances of the means of the strata add
    up, with the degrees of freedom of Satterthwaite (1946). `n` is the number of seeds of the
    smallest stratum. None if there are no strata, one has too few seeds for a variance, or a gain
    is not finite.
    """
    if not strata or any(len(s.gains) < (1 if s.exact else 2) for s in strata):
        return None
    largest = max(abs(gain) for s in strata for gain in s.gains)
    if not math.isfinite(largest):
        return None
    if largest > HUGE:
        estimate = stratified_mean([_scale(s, 1 / HUGE) for s in strata])
        assert estimate is not None
        value, error = estimate.value * HUGE, estimate.standard_error * HUGE
        return estimate._replace(value=value, standard_error=error)
    variances = [0.0 if s.exact else _variance(s) / len(s.gains) for s in strata]
    total = math.fsum(variances)
    value = math.fsum(math.fsum(s.gains) / len(s.gains) for s in strata) / len(strata)
    smallest = min(len(s.gains) for s in strata)
    if total == 0:
        return MeanEstimate(value, 0.0, max(1, smallest - 1), smallest)
    pairs = zip(variances, strata, strict=True)
    denominator = math.fsum(v**2 / (len(s.gains) - 1) for v, s in pairs if v > 0)
    degrees_of_freedom = max(1, math.floor(total**2 / denominator + 1e-9))
    return MeanEstimate(value, math.sqrt(total) / len(strata), degrees_of_freedom, smallest)


def _scale(stratum: Stratum, factor: float) -> Stratum:
    gains = [gain * factor for gain in stratum.gains]
    return Stratum(gains=gains, exact=stratum.exact, floor=stratum.floor * factor)


def _variance(stratum: Stratum) -> float:
    mean = math.fsum(stratum.gains) / len(stratum.gains)
    squares = math.fsum((gain - mean) ** 2 for gain in stratum.gains)
    return max(squares / (len(stratum.gains) - 1), stratum.floor**2)


def trimmed_mean(*columns: Sequence[float], trim: float = TRIM) -> MeanEstimate:
    """Return the mean without the lowest and the highest fraction `trim` of the values.

    The standard error comes from the Winsorized deviations; the degrees of freedom are the number
    of remaining values minus one (Tukey and McLaughlin 1963; Yuen 1974). For several columns of
    paired values (`columns[i][round]`) the result is the mean of their trimmed means, and the error
    comes from the Winsorized deviations averaged over the columns (Yuen's test for dependent
    groups: Wilcox 2012, section 5.9.5).

    Raises:
        ValueError: fewer than two values, columns of unequal length, or `trim` is not in [0, 0.5).
    """
    import numpy as np

    lengths = {len(values) for values in columns}
    if len(lengths) != 1 or min(lengths) < 2 or not 0 <= trim < 0.5:
        raise ValueError(
            "expected columns of equal length with at least two values, and trim in [0, 0.5);"
            f" got lengths {sorted(lengths)} and trim {trim}"
        )
    table, n = np.asarray(columns, dtype=float), lengths.pop()
    cut = int(trim * n)
    kept = np.sort(table, axis=1)[:, cut : n - cut]
    winsorized = np.clip(table, kept[:, :1], kept[:, -1:])
    deviations = (winsorized - winsorized.mean(axis=1, keepdims=True)).mean(axis=0)
    size = n - 2 * cut
    standard_error = math.sqrt(float(np.sum(deviations**2)) / (size * (size - 1)))
    return MeanEstimate(float(kept.mean()), standard_error, size - 1, n)
