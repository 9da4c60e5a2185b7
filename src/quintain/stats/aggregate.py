"""One number for a model over many datasets, with what the seeds leave open."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean

from quintain.stats.intervals import Interval, percentiles

RESAMPLES = 1000  # the 2.5 % points of an interval then lie within ± 1 % of probability


def normalised(score: float | None, zero: float | None, one: float | None) -> float | None:
    """A score on the scale where `zero` is 0 and `one` is 1, whichever of them is larger.

    Missing where any is missing, or where the two are equal.
    """
    if score is None or zero is None or one is None or zero == one:
        return None
    found = (score - zero) / (one - zero)
    return found if math.isfinite(found) else None


def interquartile_mean(values: Sequence[float | None]) -> float | None:
    """Mean of what is left without the lowest and the highest quarter, each rounded down.

    Robust as the median and, on few values, steadier (Agarwal et al. 2021, section 4.3). A missing
    value makes it missing.
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
    """Interquartile mean over all runs of all datasets, and its percentile bootstrap interval.

    Seeds are drawn again within each dataset (stratified; Agarwal et al. 2021, section 4.1): they
    are the replication, the datasets are fixed. A dataset without a score, or with a missing one,
    makes all of it missing; a single seed in any dataset leaves no interval. The same `seed` gives
    the same interval on every machine.

    Args:
        strata: normalised scores of one model, a list for each dataset.
        level: of the interval.
        resamples: how often all seeds are drawn again.
        seed: of the generator of this bootstrap alone.
    """
    every = [score for stratum in strata for score in stratum]
    mean, n = interquartile_mean(every), len(every)
    if mean is None or not all(strata):
        return Interval(None, None, None, n)
    if min(map(len, strata)) < 2:
        return Interval(mean, None, None, n)
    draw = random.Random(seed).choices
    means = [
        interquartile_mean([v for stratum in strata for v in draw(stratum, k=len(stratum))])
        for _ in range(resamples)
    ]
    ends = [50 * (1 - level), 50 * (1 + level)]
    low, high = percentiles([value for value in means if value is not None], ends)
    return Interval(mean, low, high, n)


def mean_ranks(table: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Mean rank of each model over datasets, 1 the best; equal scores share the mean of ranks.

    A model without a score on a dataset has no mean rank, and is left out of the ranking of all
    others, on every dataset: else they would be ranked among different fields.

    Args:
        table: for each model its scores, one a dataset in the same order, more is better.
    """
    whole = [i for i, row in enumerate(table) if row and None not in row]
    found: list[float | None] = [None] * len(table)
    for i in whole:
        found[i] = fmean(_rank(table[i][d], [table[j][d] for j in whole])
                         for d in range(len(table[i])))  # fmt: skip
    return found


def _rank(score: float | None, among: Sequence[float | None]) -> float:
    assert score is not None  # mean_ranks has left such models out
    better = sum(other is not None and other > score for other in among)
    return better + (among.count(score) + 1) / 2
