"""Aggregates the scores of a model over datasets: interquartile mean and mean rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from quintain.stats.intervals import Interval, t_quantile

MAX_DEGREES_OF_FREEDOM = 100  # more are treated as 100, which widens an interval by 1 % at most


def normalise(score: float | None, zero: float | None, one: float | None) -> float | None:
    """Map a score linearly so that `zero` becomes 0 and `one` becomes 1.

    None if one of the three is missing, or if `zero` and `one` are equal.
    """
    if score is None or zero is None or one is None or zero == one:
        return None
    normalised = (score / 2 - zero / 2) / (one / 2 - zero / 2)  # a difference may overflow
    return normalised if math.isfinite(normalised) else None


def interquartile_mean(
    values: Sequence[float | None], weights: Sequence[float] | None = None
) -> float | None:
    """Return the mean of the middle half of the values; None if a value is missing.

    A value at a quartile counts in part, so that the number of seeds does not decide which dataset
    counts. For equal weights this is `scipy.stats.trim_mean(numpy.repeat(values, 4), 0.25)`, which
    is `trim_mean(values, 0.25)` if the number of values is a multiple of four. It is as robust as
    the median, with a lower variance on few values (Agarwal et al. 2021, section 4.3).
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return None
    weights = weights or [1.0] * len(known)
    half = math.fsum(weights) / 2
    below, terms = 0.0, []
    for value, weight in sorted(zip(known, weights, strict=True)):
        share = min(below + weight, 1.5 * half) - max(below, 0.5 * half)
        terms.append(value * (max(share, 0.0) / half))
        below += weight
    return math.fsum(terms)


def iqm_interval(strata: Sequence[Sequence[float | None]]) -> Interval:
    """Return the interquartile mean over the runs of all datasets and its 95 % interval.

    Each dataset has the same weight. The datasets are fixed, the seeds are the replicates: the
    variance is the sum of the datasets' jackknife variances, and the quantile is that of Student's
    t with the degrees of freedom of Welch (1947). Each variance is multiplied by (n + 1) / n, which
    compensates for skewed scores; benchmarks/iqm_coverage.py measures the coverage.

    The result is None if a dataset has no scores or a score is missing; the interval is None if a
    dataset has a single seed.

    Args:
        strata: normalised scores of one model, a list for each dataset.
    """
    scores, n = [score for stratum in strata for score in stratum], sum(map(len, strata))
    weights = [1 / len(stratum) for stratum in strata for _ in stratum]
    mean = interquartile_mean(scores, weights)
    if mean is None or not all(strata):
        return Interval(None, None, None, n)
    if min(map(len, strata)) < 2:
        return Interval(mean, None, None, n)
    variances, sizes = [], [len(stratum) for stratum in strata]
    for number, size in enumerate(sizes):
        start = sum(sizes[:number])
        variances.append((size + 1) / size * _jackknife_variance(scores, weights, start, size))
    t = t_quantile(0.975, welch_degrees_of_freedom(variances, sizes))
    half = t * math.sqrt(sum(variances))  # `fsum` raises OverflowError
    if not math.isfinite(half):  # the squares of huge scores overflow
        return Interval(mean, None, None, n)
    return Interval(mean, mean - half, mean + half, n)


def welch_degrees_of_freedom(variances: Sequence[float], sizes: Sequence[int]) -> float:
    """Return the degrees of freedom of a sum of variances from samples of these sizes.

    Welch's (1947) formula is less conservative than Satterthwaite's for samples of two. The result
    is rounded down to a multiple of a quarter, so that the page needs only a table of quantiles.
    """
    total = sum(variances)
    if not 0 < total < math.inf:
        return max(1, sum(sizes) - len(sizes))
    shares = [variance / total for variance in variances]
    denominator = math.fsum(s**2 / (n + 1) for s, n in zip(shares, sizes, strict=True))
    highest = sum(n - 1 for s, n in zip(shares, sizes, strict=True) if s > 0)
    degrees = min(max(1 / denominator - 2, min(sizes) - 1), highest, MAX_DEGREES_OF_FREEDOM)
    return max(1.0, math.floor(4 * degrees + 1e-9) / 4)


def _jackknife_variance(
    scores: Sequence[float | None], weights: Sequence[float], start: int, size: int
) -> float:
    """Return the variance of the interquartile mean from leaving out each seed of one dataset.

    The dataset has the scores `start`, …, `start + size - 1` and keeps its weight.
    """
    means = []
    for left_out in range(start, start + size):
        changed = list(weights)
        changed[start : start + size] = [1 / (size - 1)] * size
        changed[left_out] = 0.0
        means.append(interquartile_mean(scores, changed) or 0.0)
    center = math.fsum(mean / size for mean in means)
    squares = [(mean - center) * (mean - center) for mean in means]  # `**` raises OverflowError
    return (size - 1) / size * sum(squares)


def mean_ranks(table: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Return the mean rank of each model over datasets; 1 is the best, ties share their mean rank.

    A model without a score on some dataset has no mean rank, and is not ranked on any dataset, so
    that all ranks are among the same models.

    Args:
        table: (model, dataset) → score; more is better.
    """
    complete = [i for i, row in enumerate(table) if row and None not in row]
    means: list[float | None] = [None] * len(table)
    for i in complete:
        means[i] = fmean(_rank(table[i][d], [table[j][d] for j in complete])
                         for d in range(len(table[i])))  # fmt: skip
    return means


def _rank(score: float | None, scores: Sequence[float | None]) -> float:
    assert score is not None  # `mean_ranks` excludes such models
    better = sum(value is not None and value > score for value in scores)
    return better + (scores.count(score) + 1) / 2
