"""Aggregates the scores of a model over datasets: interquartile mean and mean rank."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean

from quintain.stats.intervals import Interval

RESAMPLES = 1000  # the error of the 2.5 % quantile is then about 1 % of probability


def normalise(score: float | None, zero: float | None, one: float | None) -> float | None:
    """Map a score linearly so that `zero` becomes 0 and `one` becomes 1.

    None if one of the three is missing, or if `zero` and `one` are equal.
    """
    if score is None or zero is None or one is None or zero == one:
        return None
    normalised = (score - zero) / (one - zero)
    return normalised if math.isfinite(normalised) else None


def interquartile_mean(values: Sequence[float | None]) -> float | None:
    """Return the mean without the lowest and highest n // 4 values; None if a value is missing.

    It is as robust as the median, with a lower variance on few values (Agarwal et al. 2021, section
    4.3).
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return None
    cut = len(known) // 4
    return fmean(sorted(known)[cut : len(known) - cut])


def iqm_interval(
    strata: Sequence[Sequence[float | None]],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the interquartile mean over all runs of all datasets and its bootstrap interval.

    The percentile bootstrap resamples the seeds within each dataset (stratified bootstrap; Agarwal
    et al. 2021, section 4.1). The result is None if a dataset has no scores or a score is missing;
    the interval is None if a dataset has a single seed.

    Args:
        strata: normalised scores of one model, a list for each dataset.
        level: confidence level of the interval.
        resamples: number of bootstrap samples.
        seed: of the random number generator; equal seeds give equal intervals on every machine.
    """
    scores = [score for stratum in strata for score in stratum]
    mean, n = interquartile_mean(scores), len(scores)
    if mean is None or not all(strata):
        return Interval(None, None, None, n)
    if min(map(len, strata)) < 2:
        return Interval(mean, None, None, n)
    import numpy as np

    draw = random.Random(seed).choices
    resampled = [
        interquartile_mean([v for stratum in strata for v in draw(stratum, k=len(stratum))])
        for _ in range(resamples)
    ]
    means = [value for value in resampled if value is not None]
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)]).tolist()
    return Interval(mean, low, high, n)


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
