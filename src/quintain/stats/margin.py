"""Is a candidate worse than a baseline by more than a margin? The question of a gate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from quintain.stats.intervals import mean_interval
from quintain.stats.seeds import POWER, seeds_needed
from quintain.stats.student import student_quantile, student_tail

Outcome = Literal["not worse", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """What paired gains (candidate minus baseline, more is better) say about a margin.

    `low` and `high` are one-sided bounds of the mean gain, each at the level. "not worse": the
    gain is above -margin; "worse": it is below -margin; "undecided": the bounds hold -margin
    between them, or there are none. `p` is of the claim "worse by the margin or more", `p_worse`
    of its opposite. `more` says how many more pairs would probably decide; None where no number
    is known.
    """

    n: int
    gain: float | None
    low: float | None
    high: float | None
    margin: float
    p: float | None
    p_worse: float | None
    outcome: Outcome
    more: int | None


class Mean(NamedTuple):
    """A mean gain, its standard error and degrees of freedom, over `n` seeds."""

    value: float
    error: float
    degrees: int
    n: int


def non_inferiority(
    gains: Sequence[float | None], margin: float, *, level: float = 0.05, power: float = POWER
) -> NonInferiority:
    """Two one-sided paired t-tests against -margin (Schuirmann 1987, the two directions apart).

    Fewer than two gains, or one that is missing, leave it undecided. Equal gains have no deviation:
    they count as exact, since a gate compares runs that can be equal bit for bit; a gain of exactly
    -margin is then not worse.

    Raises:
        ValueError: the margin is negative or no number.
    """
    interval = mean_interval(gains, 1 - 2 * level)
    gain, n = interval.mean, interval.n
    if gain is None or interval.low is None or interval.high is None:
        return undecided(n, gain, margin)
    error = (interval.high - interval.low) / 2 / student_quantile(1 - level, n - 1)
    return against(Mean(gain, error, n - 1, n), margin, level=level, power=power)


def undecided(n: int, gain: float | None, margin: float) -> NonInferiority:
    """Where nothing can be said."""
    _check(margin)
    return NonInferiority(
        n=n, gain=gain, low=None, high=None, margin=margin, p=None, p_worse=None,
        outcome="undecided", more=None,
    )  # fmt: skip


def against(mean: Mean, margin: float, *, level: float, power: float) -> NonInferiority:
    """A mean gain against a margin, by Student's t."""
    _check(margin)
    away = mean.value + margin
    t = away / mean.error if mean.error > 0 else math.inf if away >= 0 else -math.inf
    p, p_worse = student_tail(t, mean.degrees), student_tail(-t, mean.degrees)
    outcome: Outcome = "not worse" if p <= level else "worse" if p_worse <= level else "undecided"
    half = student_quantile(1 - level, mean.degrees) * mean.error
    return NonInferiority(
        n=mean.n, gain=mean.value, low=mean.value - half, high=mean.value + half, margin=margin,
        p=p, p_worse=p_worse, outcome=outcome,
        more=_more(mean, away, level, power) if outcome == "undecided" else None,
    )  # fmt: skip


def _check(margin: float) -> None:
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"expected a margin of 0 or more, got {margin}")


def _more(mean: Mean, away: float, level: float, power: float) -> int | None:
    """As many more seeds (of several cells, in each) as a paired t-test would need."""
    effect = abs(away) / mean.error / math.sqrt(mean.n)
    needed = seeds_needed(effect, level=level, power=power, sides=1)
    return None if needed is None else max(needed - mean.n, 1)
