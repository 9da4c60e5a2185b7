"""Two models by their common seeds: difference, interval, tests and effect size.

A seed fixes order and initial weights for every model, so it pairs them. docs/decisions/
0012-statistics.md says why the t-test decides and what the sign flips are for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quintain.stats.intervals import mean_interval
from quintain.stats.student import student_tail

Scores = Mapping[int, float | None]
"""Seed → score; None or NaN where the run gave none."""

RESOLUTION = 1e-6  # of a score: single precision has 1e-7; differences spread by less are equal
MOST_FLIPPED = 12  # pairs, 2,048 sign patterns; beyond, Student's t needs no second opinion


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Model a minus model b over the seeds that both have; None where a value cannot be had.

    `n` counts the pairs, `dropped` the seeds that only one has. `low` and `high` bound the mean
    difference by Student's t. `p` is two-sided; `p_flips` that of the exact sign-flip test.
    `cohen_d` is the mean difference over its standard deviation (d_z), `hedges_g` without the bias
    of few seeds.
    """

    n: int
    dropped: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_flips: float | None
    cohen_d: float | None
    hedges_g: float | None


def paired(a: Scores, b: Scores, *, level: float = 0.95) -> Paired:
    """Compare two models by their common seeds.

    One pair has a difference and nothing else. A common seed without a score makes all missing.
    Where all differences are equal, their deviation says nothing about other seeds (scores move in
    steps of one test sample): p is then that of the sign flips, 2^(1 - n), or 1 if they are zero,
    and there is no effect size and, unless they are zero, no interval.
    """
    seeds = sorted(a.keys() & b.keys())
    dropped = len(a.keys() ^ b.keys())
    differences = pair_differences(a, b)
    if not differences:
        return Paired(n=len(seeds), dropped=dropped, **_NOTHING)
    n, interval = len(seeds), mean_interval(differences, level)
    size = max(abs(float(score or 0)) for found in (a, b) for score in map(found.get, seeds))
    mean = interval.mean
    if mean is None or n == 1:
        return Paired(n=n, dropped=dropped, **(_NOTHING | {"difference": mean}))
    if _equal(differences, size):
        zero = abs(mean) <= RESOLUTION * size
        p = 1.0 if zero else 2.0 ** (1 - n)
        found = {"difference": mean, "low": mean, "high": mean} if zero else {"difference": mean}
        return Paired(n=n, dropped=dropped, **(_NOTHING | found | {"p": p, "p_flips": p}))
    d = _cohen(differences, mean)
    return Paired(
        n=n,
        dropped=dropped,
        difference=mean,
        low=interval.low,
        high=interval.high,
        p=min(1.0, 2 * student_tail(abs(d) * math.sqrt(n), n - 1)),
        p_flips=sign_flips(differences),
        cohen_d=d,
        hedges_g=None if n == 2 else d * _unbiased(n - 1),
    )


def pair_differences(a: Scores, b: Scores) -> list[float]:
    """a minus b for each common seed, in the order of seeds; empty where one is missing."""
    found = []
    for seed in sorted(a.keys() & b.keys()):
        ours, theirs = a[seed], b[seed]
        if ours is None or theirs is None or not math.isfinite(ours - theirs):
            return []
        found.append(ours - theirs)
    return found


def sign_flips(differences: Sequence[float]) -> float | None:
    """Two-sided p of the exact sign-flip permutation test of a zero mean.

    The share of all 2^n sign patterns whose sum is at least as far from zero (Fisher 1935, The
    Design of Experiments, §21). None for no values and for more than `MOST_FLIPPED`.
    """
    if not differences or len(differences) > MOST_FLIPPED:
        return None
    seen = abs(math.fsum(differences))
    enough = seen - 1e-12 * math.fsum(abs(value) for value in differences)  # sums of equal terms
    first, *others = differences  # a pattern and its mirror image are equally far
    sums = [first]
    for value in others:
        sums = [total + value for total in sums] + [total - value for total in sums]
    far = sum(abs(total) >= enough for total in sums)
    return float(far / 2 ** len(others))


_NOTHING: dict[str, float | None] = dict.fromkeys(
    ("difference", "low", "high", "p", "p_flips", "cohen_d", "hedges_g")
)


def _equal(differences: Sequence[float], size: float) -> bool:
    return max(differences) - min(differences) <= RESOLUTION * size


def _cohen(differences: Sequence[float], mean: float) -> float:
    size = max(abs(value) for value in differences)  # so that no square under- or overflows
    squares = math.fsum(((value - mean) / size) ** 2 for value in differences)
    return mean / size / math.sqrt(squares / (len(differences) - 1))


def _unbiased(degrees: int) -> float:
    """The exact factor of Hedges (1981), equation 6e, from two degrees of freedom on."""
    log = math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)
    return math.exp(log) / math.sqrt(degrees / 2)
