"""Aggregates over datasets against SciPy; performance profiles by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from quintain.stats.aggregate import (
    interquartile_mean,
    iqm_interval,
    mean_ranks,
    normalise,
    welch_degrees_of_freedom,
)
from quintain.stats.intervals import Interval
from quintain.stats.performance_profiles import Profile, performance_profiles

finite = st.floats(-1e3, 1e3)


@settings(max_examples=40, deadline=None)
@given(st.lists(finite, min_size=1, max_size=40))
def test_interquartile_mean_is_scipys_trimmed_mean_of_each_value_four_times(
    values: list[float],
) -> None:
    expected = scipy.stats.trim_mean(np.repeat(values, 4), 0.25)
    assert interquartile_mean(values) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
    four_times = values * 4
    assert interquartile_mean(four_times) == pytest.approx(
        float(scipy.stats.trim_mean(four_times, 0.25)), rel=1e-9, abs=1e-9
    )


def test_a_value_at_a_quartile_counts_in_part() -> None:
    """Of six values one and a half are left out at each end: (0.5·2 + 3 + 4 + 0.5·9) / 3."""
    assert interquartile_mean([1, 2, 3, 4, 9, 99]) == pytest.approx((1 + 3 + 4 + 4.5) / 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(finite, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_interquartile_mean_does_not_depend_on_the_order(
    values: list[float], shuffler: random.Random
) -> None:
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    assert interquartile_mean(shuffled) == interquartile_mean(values)


def test_the_interval_of_one_dataset_without_outliers_is_scipys() -> None:
    """Three datasets far apart: only the middle one has seeds that matter, apart from the ends."""
    middle = [0.50, 0.52, 0.57, 0.51]
    strata = [[0.0] * 4, middle, [1.0] * 4]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(middle), scipy.stats.sem(middle))
    interval = iqm_interval(strata)
    # The middle dataset has two thirds of the weight; each variance is multiplied by (n + 1) / n.
    assert interval.mean == pytest.approx(2 / 3 * np.mean(middle) + 1 / 6)
    assert interval.half_width == pytest.approx(2 / 3 * math.sqrt(5 / 4) * (high - low) / 2)


def test_the_degrees_of_freedom_are_those_of_welch() -> None:
    """(Σ v)² / Σ (v² / (n + 1)) - 2, rounded down to a quarter; by hand."""
    assert welch_degrees_of_freedom([0.3], [5]) == 4
    assert welch_degrees_of_freedom([1.0, 1.0], [3, 3]) == 4  # not 6: two variances of two degrees
    assert welch_degrees_of_freedom([3.0, 1.0], [4, 4]) == 6  # of 16 / 2 - 2
    assert welch_degrees_of_freedom([5.0, 1.0], [4, 4]) == 4.75  # 36 / 5.2 - 2 = 4.92
    assert welch_degrees_of_freedom([1.0, 1.0, 1.0], [2, 2, 2]) == 3
    assert welch_degrees_of_freedom([1.0, 0.0], [2, 9]) == 1
    assert welch_degrees_of_freedom([0.0], [2]) == 1


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Any]] = {
    "normal": lambda draw, shape: draw.standard_normal(shape),
    "skewed": lambda draw, shape: (2 - draw.gamma(2, 1, shape)) / math.sqrt(2),
    "bounded": lambda draw, shape: (draw.beta(5, 1.5, shape) - 5 / 6.5) / 0.154,
}


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_interval_covers_the_true_value(name: str, n: int) -> None:
    """Five datasets with different spreads; benchmarks/iqm_coverage.py has more cases and runs.

    93 to 97 %, and two and a half standard errors of 500 repetitions.
    """
    draw, make = np.random.default_rng(n), DISTRIBUTIONS[name]
    centers, spreads = np.array([0.2, 0.5, 0.6, 0.75, 0.9]), np.array([1, 4, 2, 3, 1]) / 100
    many = np.sort(centers + spreads * make(draw, (200_000, 5)), axis=None)
    truth = many[len(many) // 4 : -(len(many) // 4)].mean()
    covered = 0
    for scores in centers + spreads * make(draw, (500, n, 5)):
        interval = iqm_interval(scores.T.tolist())
        assert interval.low is not None and interval.high is not None
        covered += interval.low <= truth <= interval.high
    assert 0.93 - 0.025 <= covered / 500 <= 0.97 + 0.02


def test_huge_scores_do_not_overflow() -> None:
    assert iqm_interval([[1e308, 1e308], [1e308, -1e308]]).mean == 1e308
    assert iqm_interval([[1e308, 1e308], [1e308, -1e308]]).low is None
    ordinary = iqm_interval([[0.4, 0.5], [0.6, 0.7], [0.5, 0.6], [0.5, 1e308], [0.1, 0.2]])
    assert ordinary.mean == pytest.approx(0.52), "the middle half has no outlier"
    assert ordinary.low is not None and 0 < ordinary.low < 0.52


def test_a_missing_cell_makes_the_aggregate_none() -> None:
    assert iqm_interval([[0.1, 0.2], []]) == Interval(None, None, None, 2)
    assert iqm_interval([[0.1, 0.2], [0.3, None]]) == Interval(None, None, None, 4)
    assert iqm_interval([[0.1, 0.2], [0.3, math.nan]]) == Interval(None, None, None, 4)
    assert iqm_interval([]) == Interval(None, None, None, 0)
    assert interquartile_mean([]) is None
    assert mean_ranks([[0.9, None], [0.8, 0.7], [0.7, 0.8]]) == [None, 1.5, 1.5]


def test_single_seeds_have_no_interval() -> None:
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
