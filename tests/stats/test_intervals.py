"""Intervals of means and ratios against published values, SciPy and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from quintain.stats.intervals import Interval, mean_interval, ratio_interval, t_quantile, t_tail

finite = st.floats(-1e6, 1e6)
positive = st.floats(1e-3, 1e3)

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Additional hours of sleep of ten patients (Student 1908, The Probable Error of a Mean)."""


def test_interval_of_the_sleep_data_is_the_published_one() -> None:
    """As in the documentation of R's `t.test`: mean 1.58, interval 0.7001142 to 2.4598858."""
    interval = mean_interval(SLEEP)
    assert interval[:3] == pytest.approx((1.58, 0.7001142, 2.4598858), rel=1e-7)
    assert interval.n == 10


@pytest.mark.parametrize(
    ("probability", "degrees_of_freedom", "critical"),
    [
        (0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 5, 2.571), (0.975, 10, 2.228),
        (0.975, 30, 2.042), (0.975, 120, 1.980), (0.95, 1, 6.314), (0.95, 4, 2.132),
        (0.995, 2, 9.925), (0.995, 10, 3.169), (0.5, 7, 0.0),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_printed_tables(
    probability: float, degrees_of_freedom: int, critical: float
) -> None:
    """Critical values from textbook tables, to three decimal places."""
    assert t_quantile(probability, degrees_of_freedom) == pytest.approx(critical, abs=5e-4)
    tail = t_tail(t_quantile(probability, degrees_of_freedom), degrees_of_freedom)
    assert tail == pytest.approx(1 - probability, rel=1e-9)


def test_tails_of_one_and_two_degrees_of_freedom_have_closed_forms() -> None:
    """Cauchy: 1/2 - arctan(t)/π; two degrees: 1/2 - t / (2 √(2 + t²))."""
    for t in (-30.0, -1.0, 0.0, 0.3, 4.3, 50.0):
        assert t_tail(t, 1) == pytest.approx(0.5 - math.atan(t) / math.pi, rel=1e-9)
        assert t_tail(t, 2) == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)), rel=1e-9)
    assert (t_tail(math.inf, 3), t_tail(-math.inf, 3)) == (0.0, 1.0)


@given(st.lists(finite, min_size=2, max_size=12), st.sampled_from([0.9, 0.95, 0.99]))
def test_mean_and_standard_error_are_those_of_scipy(values: list[float], level: float) -> None:
    interval = mean_interval(values, level)
    half = scipy.stats.t.isf((1 - level) / 2, len(values) - 1) * float(scipy.stats.sem(values))
    mean = float(np.mean(values))
    assert interval.low == pytest.approx(mean - half, rel=1e-7, abs=1e-6)
    assert interval.high == pytest.approx(mean + half, rel=1e-7, abs=1e-6)
    assert interval.half_width is not None and interval.half_width >= 0


def test_degenerate_values_have_defined_intervals() -> None:
    assert mean_interval([0.3]) == Interval(0.3, None, None, 1)
    assert mean_interval([0.1] * 3) == Interval(0.1, 0.1, 0.1, 3)
    assert mean_interval([]) == Interval(None, None, None, 0)
    for bad in (None, math.nan, math.inf):
        assert mean_interval([0.1, bad]) == Interval(None, None, None, 2)
    assert mean_interval([0.3]).half_width is None


def test_levels_outside_zero_and_one_are_rejected() -> None:
    for level in (1.5, 1.0, -0.1):
        with pytest.raises(ValueError, match="expected a confidence level"):
            mean_interval([1, 2], level)


def test_values_whose_squares_overflow_have_an_interval() -> None:
    unscaled = mean_interval([1.0, 2.0])
    for size in (1e200, 1e-200):
        interval = mean_interval([size, 2 * size])
        expected = 1.5 * size, (unscaled.low or 0) * size
        assert (interval.mean, interval.low) == pytest.approx(expected, rel=1e-9)
    assert mean_interval([1e308, -1e308]) == Interval(0.0, None, None, 2)
    assert mean_interval([1e308] * 3) == Interval(1e308, 1e308, 1e308, 3)
    assert mean_interval([0.0, 0.0]) == Interval(0.0, 0.0, 0.0, 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=9))
def test_ratio_is_the_geometric_mean_with_the_interval_of_the_logs(
    pairs: list[tuple[float, float]],
) -> None:
    a, b = (list(column) for column in zip(*pairs, strict=True))
    logs = np.log(np.divide(a, b))
    ratio, inverse = ratio_interval(a, b), ratio_interval(b, a)
    assert ratio.mean == pytest.approx(scipy.stats.gmean(np.divide(a, b)), rel=1e-9)
    if np.std(logs) > 1e-6:
        half = scipy.stats.t.isf(0.025, len(a) - 1) * scipy.stats.sem(logs)
        if logs.mean() + half < 700:
            assert ratio.low == pytest.approx(math.exp(logs.mean() - half), rel=1e-6)
            assert ratio.high == pytest.approx(math.exp(logs.mean() + half), rel=1e-6)
    assert ratio.mean is not None and inverse.mean == pytest.approx(1 / ratio.mean, rel=1e-9)


def test_ratios_of_missing_or_nonpositive_values_are_missing() -> None:
    assert ratio_interval([2.0], [1.0]) == Interval(pytest.approx(2.0), None, None, 1)
    for bad in (None, 0.0, -1.0, math.nan, math.inf):
        assert ratio_interval([1.0, bad], [1.0, 2.0]) == Interval(None, None, None, 2)
        assert ratio_interval([1.0, 2.0], [1.0, bad]) == Interval(None, None, None, 2)
    assert ratio_interval([], []) == Interval(None, None, None, 0)
    assert ratio_interval([1e308, 1e-300], [1e-308, 1e300]).high is None  # it overflows a float
    with pytest.raises(ValueError):
        ratio_interval([1.0], [])
