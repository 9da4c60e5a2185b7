"""Compares two models over their common seeds: difference, interval, tests, effect size.

Runs of the same seed are paired, because it determines the order of samples and the initial
weights. See docs/decisions/0012-statistics.md for the choice of tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quintain.stats.intervals import mean_interval, t_tail

Scores = Mapping[int, float | None]
"""Seed → score; None or NaN if the run has none."""

SCORE_RESOLUTION = 1e-6
"""Relative to a score; differences that vary by less count as equal (float32 has 1e-7)."""
MAX_SIGN_FLIP_PAIRS = 12  # 2,048 sign patterns; with more pairs the t-test is reliable enough


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Model a minus model b over their common seeds; None if a value is undefined."""

    n: int  # common seeds
    dropped: int  # seeds that only one of the models has
    difference: float | None = None  # mean over the common seeds
    low: float | None = None  # bounds of its confidence interval by Student's t
    high: float | None = None
    p: float | None = None  # two-sided, of the paired t-test
    p_flips: float | None = None  # two-sided, of the exact sign-flip test
    cohen_d: float | None = None  # mean difference over its standard deviation (d_z)
    hedges_g: float | None = None  # `cohen_d` without its bias for few seeds (Hedges 1981)


def paired_test(a: Scores, b: Scores, *, level: float = 0.95) -> PairedTest:
    """Compare two models over their common seeds.

    One pair has only a difference. If a common seed has no score, all results are None. If all
    differences are equal, their variance does not describe other seeds, because scores have a
    resolution of one test sample: then p is that of the sign-flip test, 2^(1 - n), or 1 for zero
    differences. There is no effect size, and an interval only for zero differences.
    """
    seeds = sorted(a.keys() & b.keys())
    n, dropped = len(seeds), len(a.keys() ^ b.keys())
    differences = paired_differences(a, b)
    interval = mean_interval(differences, level)
    mean = interval.mean
    if mean is None or n == 1:
        return PairedTest(n=n, dropped=dropped, difference=mean)
    largest = max(abs(float(scores[seed] or 0)) for scores in (a, b) for seed in seeds)
    if max(differences) - min(differences) <= SCORE_RESOLUTION * largest:
        is_zero = abs(mean) <= SCORE_RESOLUTION * largest
        p, bound = (1.0, mean) if is_zero else (2.0 ** (1 - n), None)
        return PairedTest(
            n=n, dropped=dropped, difference=mean, low=bound, high=bound, p=p, p_flips=p
        )
    d = _cohen_d(differences, mean)
    return PairedTest(
        n=n,
        dropped=dropped,
        difference=mean,
        low=interval.low,
        high=interval.high,
        p=min(1.0, 2 * t_tail(abs(d) * math.sqrt(n), n - 1)),
        p_flips=sign_flip_p(differences),
        cohen_d=d,
        hedges_g=None if n == 2 else d * _hedges_correction(n - 1),
    )


def paired_differences(a: Scores, b: Scores) -> list[float]:
    """Return a minus b for each common seed, sorted by seed; empty if a score is missing."""
    differences = []
    for seed in sorted(a.keys() & b.keys()):
        x, y = a[seed], b[seed]
        if x is None or y is None or not math.isfinite(x - y):
            return []
        differences.append(x - y)
    return differences


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p value of the exact sign-flip permutation test of a zero mean.

    It is the fraction of the 2^n sign patterns whose sum is at least as far from zero as the
    observed one (Fisher 1935, The Design of Experiments, §21). None without values, or with more
    than `MAX_SIGN_FLIP_PAIRS`. Unlike in `scipy.stats.permutation_test`, sums that differ only by
    rounding are ties even if the observed sum is zero.
    """
    if not differences or len(differences) > MAX_SIGN_FLIP_PAIRS:
        return None
    largest = max(map(abs, differences)) or 1.0
    scaled = [value / largest for value in differences]  # so that no sum overflows
    rounding = 1e-12 * math.fsum(map(abs, scaled))
    threshold = abs(math.fsum(scaled)) - rounding
    first, *rest = scaled
    sums = [first]  # fixed sign: flipping all signs gives the same distance from zero
    for value in rest:
        sums = [total + value for total in sums] + [total - value for total in sums]
    return sum(abs(total) >= threshold for total in sums) / len(sums)


def _cohen_d(differences: Sequence[float], mean: float) -> float:
    largest = max(map(abs, differences))  # scaled so that no square overflows or underflows
    squares = math.fsum((value / largest - mean / largest) ** 2 for value in differences)
    return mean / largest / math.sqrt(squares / (len(differences) - 1))


def _hedges_correction(degrees_of_freedom: int) -> float:
    """Return the exact factor of Hedges (1981), equation 6e, for two or more degrees of freedom."""
    log = math.lgamma(degrees_of_freedom / 2) - math.lgamma((degrees_of_freedom - 1) / 2)
    return math.exp(log) / math.sqrt(degrees_of_freedom / 2)
