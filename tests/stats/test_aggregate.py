"""Aggregates over datasets against SciPy; performance profiles by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from quintain.stats.aggregate import interquartile_mean, iqm_interval, mean_ranks, normalise
from quintain.stats.intervals import Interval
from quintain.stats.performance_profiles import Profile, performance_profiles

finite = st.floats(-1e3, 1e3)


@settings(max_examples=40, deadline=None)
@given(st.lists(finite, min_size=1, max_size=40))
def test_interquartile_mean_is_scipys_trimmed_mean(values: list[float]) -> None:
    expected = scipy.stats.trim_mean(values, 0.25)
    assert interquartile_mean(values) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(finite, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_interquartile_mean_does_not_depend_on_the_order(
    values: list[float], shuffler: random.Random
) -> None:
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    assert interquartile_mean(shuffled) == interquartile_mean(values)


def test_bootstrap_interval_agrees_with_a_larger_one_by_numpy() -> None:
    """The ends agree with those of 20,000 resamples within their Monte Carlo error."""
    draw = np.random.default_rng(1)
    strata = [draw.normal(center, 0.2, size=6) for center in (0.2, 0.5, 0.9)]
    interval = iqm_interval([row.tolist() for row in strata], resamples=4000)
    resampled = np.concatenate(
        [draw.choice(row, size=(20_000, row.size)) for row in strata], axis=1
    )
    low, high = np.percentile(scipy.stats.trim_mean(resampled, 0.25, axis=1), [2.5, 97.5])
    assert interval.mean == pytest.approx(scipy.stats.trim_mean(np.concatenate(strata), 0.25))
    width = float(high - low)
    assert interval.low == pytest.approx(low, abs=0.05 * width)
    assert interval.high == pytest.approx(high, abs=0.05 * width)
    assert interval.n == 18


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=1, max_size=3))
def test_bootstrap_interval_is_reproducible_and_within_the_scores(
    strata: list[list[float]],
) -> None:
    interval = iqm_interval(strata, resamples=50)
    scores = [score for stratum in strata for score in stratum]
    assert interval == iqm_interval(strata, resamples=50)
    assert interval.low is not None and interval.high is not None
    assert min(scores) - 1e-9 <= interval.low <= interval.high <= max(scores) + 1e-9


def test_a_missing_cell_makes_the_aggregate_none() -> None:
    assert iqm_interval([[0.1, 0.2], []]) == Interval(None, None, None, 2)
    assert iqm_interval([[0.1, 0.2], [0.3, None]]) == Interval(None, None, None, 4)
    assert iqm_interval([[0.1, 0.2], [0.3, math.nan]]) == Interval(None, None, None, 4)
    assert iqm_interval([]) == Interval(None, None, None, 0)
    assert interquartile_mean([]) is None
    assert mean_ranks([[0.9, None], [0.8, 0.7], [0.7, 0.8]]) == [None, 1.5, 1.5]


def test_single_seeds_have_no_bootstrap_interval() -> None:
    assert iqm_interval([[0.25], [0.75]]) == Interval(0.5, None, None, 2)
    assert iqm_interval([[0.5, 0.5], [0.5, 0.5]]) == Interval(0.5, 0.5, 0.5, 4)


def test_normalise_works_in_both_directions() -> None:
    assert normalise(0.75, 0.5, 1.0) == 0.5
    assert normalise(3.0, 4.0, 2.0) == 0.5  # an error: less is better
    assert normalise(0.4, 0.5, 1.0) == pytest.approx(-0.2)
    for missing in ((None, 0, 1), (1, None, 1), (1, 0, None), (1, 0.5, 0.5), (1e308, 0, 1e-308)):
        assert normalise(*missing) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=6))
def test_mean_ranks_are_those_of_scipys_rankdata(table: list[list[float]]) -> None:
    expected = np.mean([scipy.stats.rankdata([-v for v in c]) for c in zip(*table, strict=True)], 0)
    assert mean_ranks(table) == pytest.approx(expected.tolist())


def test_profiles_by_hand() -> None:
    """Four problems: a is fastest on two and twice as slow on one; the last is never solved."""
    a, b = performance_profiles([[1, 2, 8, math.inf], [3, 2, 4, math.inf]])
    assert a == Profile([1, 2], [0.5, 0.75], 0.25)
    assert b == Profile([1, 3], [0.5, 0.75], 0.25)
    assert a is not None
    assert [a.share_within(factor) for factor in (0.5, 1, 1.9, 2, 100)] == [0, 0.5, 0.5, 0.75, 0.75]


def test_a_model_with_a_missing_run_has_no_profile_and_still_counts_as_fastest() -> None:
    incomplete, complete = performance_profiles([[1.0, None], [2.0, 5.0]])
    assert incomplete is None and complete == Profile([1, 2], [0.5, 1.0], 0.0)
    assert performance_profiles([[], []]) == [None, None]
    assert performance_profiles([]) == []
    assert performance_profiles([[math.inf], [math.inf]]) == [Profile([], [], 1.0)] * 2
    assert performance_profiles([[0.0], [1.0]])[1] == Profile([], [], 1.0)
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="expected times"):
            performance_profiles([[bad]])


times = st.lists(st.floats(0.1, 100) | st.just(math.inf), min_size=4, max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(times, min_size=1, max_size=5))
def test_profiles_end_at_the_share_of_solved_problems(rows: list[list[float]]) -> None:
    for row, profile in zip(rows, performance_profiles(rows), strict=True):
        assert profile is not None
        assert profile.share == sorted(set(profile.share))
        assert profile.ratio == sorted(set(profile.ratio))
        assert profile.share_within(math.inf) == pytest.approx(1 - profile.never)
        assert profile.never == sum(map(math.isinf, row)) / 4
