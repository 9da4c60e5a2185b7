"""Non-inferiority over several cells at once, so that a small loss everywhere is found.

The cells are fixed (a suite is what it is), the seeds within each are the replication. So the mean
of the cells' means has the variances of the cells added up, and Student's t with the degrees of
freedom of Satterthwaite (1946). One cell alone is the ordinary one-sided paired t-test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quintain.stats.margin import Mean, NonInferiority, against, undecided
from quintain.stats.seeds import POWER


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The paired gains of one cell (candidate minus baseline, more is better).

    `exact`: the two sides are known to be equal bit for bit, so there is no chance in the gains.
    `floor` is the least deviation that is believed: a score that moves in steps of one test sample
    may give a few seeds the same gain by chance.
    """

    gains: Sequence[float]
    exact: bool = False
    floor: float = 0.0


def mean_of(strata: Sequence[Stratum]) -> Mean | None:
    """The mean of the strata's means; None without strata, or where one has no deviation."""
    if not strata or any(len(s.gains) < (1 if s.exact else 2) for s in strata):
        return None
    variances = [0.0 if s.exact else _variance(s) / len(s.gains) for s in strata]
    total = math.fsum(variances)
    value = math.fsum(math.fsum(s.gains) / len(s.gains) for s in strata) / len(strata)
    smallest = min(len(s.gains) for s in strata)
    if total == 0:
        return Mean(value, 0.0, max(1, smallest - 1), smallest)
    pairs = zip(variances, strata, strict=True)
    spread = math.fsum(v**2 / (len(s.gains) - 1) for v, s in pairs if v > 0)
    degrees = max(1, math.floor(total**2 / spread + 1e-9))
    return Mean(value, math.sqrt(total) / len(strata), degrees, smallest)


def _variance(stratum: Stratum) -> float:
    mean = math.fsum(stratum.gains) / len(stratum.gains)
    squares = math.fsum((gain - mean) ** 2 for gain in stratum.gains)
    return max(squares / (len(stratum.gains) - 1), stratum.floor**2)


def not_inferior(
    strata: Sequence[Stratum], margin: float, *, level: float = 0.05, power: float = POWER
) -> NonInferiority:
    """What the strata together say about a loss of `margin` in their mean.

    `n` and `more` count the seeds of the smallest stratum.

    Raises:
        ValueError: the margin is negative or no number.
    """
    mean = mean_of(strata)
    if mean is not None:
        return against(mean, margin, level=level, power=power)
    gains = [gain for s in strata for gain in s.gains]
    gain = math.fsum(gains) / len(gains) if gains else None
    return undecided(min((len(s.gains) for s in strata), default=0), gain, margin)
