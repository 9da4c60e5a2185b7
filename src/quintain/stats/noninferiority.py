"""Non-inferiority: is a candidate worse than a baseline by more than a margin?

Two one-sided t-tests against -margin (Schuirmann 1987, the two directions reported separately).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from quintain.stats.intervals import mean_interval, t_quantile, t_tail
from quintain.stats.mean_estimates import MeanEstimate, Stratum, stratified_mean
from quintain.stats.sample_size import POWER, required_seeds

Outcome = Literal["not worse", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """The result of testing a mean gain (candidate minus baseline) against a margin.

    The outcome is "not worse" if the gain is significantly above -margin, "worse" if it is
    significantly below, otherwise "undecided".
    """

    n: int  # number of paired gains
    gain: float | None  # mean of the gains
    margin: float  # accepted loss
    low: float | None = None  # one-sided bounds of the gain, each at the level of the test
    high: float | None = None
    p: float | None = None  # null hypothesis: worse by the margin or more
    p_worse: float | None = None  # null hypothesis: not worse by the margin
    outcome: Outcome = "undecided"
    additional: int | None = None  # number of pairs that would probably decide it; None if unknown


def stratified_non_inferiority(
    strata: Sequence[Stratum], margin: float, *, level: float = 0.05, power: float = POWER
) -> NonInferiority:
    """Test the mean gain of one or several cells against a margin.

    Several cells together reveal a loss that is small in each. With one cell this is the ordinary
    one-sided paired t-test. Equal gains without a floor have no variance: then a gain of exactly
    -margin is "not worse". The outcome is "undecided" if `stratified_mean` is None.

    Raises:
        ValueError: the margin is negative or not finite.
    """
    mean = stratified_mean(strata)
    if mean is not None:
        return compare_with_margin(mean, margin, level=level, power=power)
    _check(margin)
    gains = [gain for s in strata for gain in s.gains]
    gain = mean_interval(gains).mean
    return NonInferiority(
        n=min((len(s.gains) for s in strata), default=0), gain=gain, margin=margin
    )


def compare_with_margin(
    mean: MeanEstimate, margin: float, *, level: float, power: float
) -> NonInferiority:
    """Test an estimated mean gain against a margin, by Student's t.

    Raises:
        ValueError: the margin is negative or not finite.
    """
    _check(margin)
    distance = mean.value + margin
    if mean.standard_error > 0:
        t = distance / mean.standard_error
    else:
        t = math.inf if distance >= 0 else -math.inf
    degrees_of_freedom = mean.degrees_of_freedom
    p, p_worse = t_tail(t, degrees_of_freedom), t_tail(-t, degrees_of_freedom)
    outcome: Outcome = "not worse" if p <= level else "worse" if p_worse <= level else "undecided"
    half = t_quantile(1 - level, degrees_of_freedom) * mean.standard_error
    return NonInferiority(
        n=mean.n, gain=mean.value, low=mean.value - half, high=mean.value + half, margin=margin,
        p=p, p_worse=p_worse, outcome=outcome,
        additional=_additional(mean, distance, level, power) if outcome == "undecided" else None,
    )  # fmt: skip


def _check(margin: float) -> None:
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"expected a margin of 0 or more, got {margin}")


def _additional(mean: MeanEstimate, distance: float, level: float, power: float) -> int | None:
    """Return the number of additional seeds per cell that a one-sided paired t-test needs."""
    effect = abs(distance) / mean.standard_error / math.sqrt(mean.n)
    required = required_seeds(effect, level=level, power=power, sides=1)
    return None if required is None else max(required - mean.n, 1)
