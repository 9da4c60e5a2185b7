"""Intervals and percentiles against scipy and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from quintain.stats.intervals import Interval, mean_interval, percentiles

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=2, max_size=12), st.sampled_from([0.9, 0.95, 0.99]))
def test_interval_is_scipys(values: list[float], level: float) -> None:
    got = mean_interval(values, level)
    spread = float(scipy.stats.sem(values))
    low, high = float(np.mean(values)), float(np.mean(values))
    if spread > 0:
        low, high = scipy.stats.t.interval(level, len(values) - 1, np.mean(values), spread)
    assert got.low == pytest.approx(low, rel=1e-7, abs=1e-6)
    assert got.high == pytest.approx(high, rel=1e-7, abs=1e-6)
    assert got.half_width is not None and got.half_width >= 0


def test_defined_answers_where_there_is_no_interval() -> None:
    assert mean_interval([0.3]) == Interval(0.3, None, None, 1)
    assert mean_interval([0.1] * 3) == Interval(0.1, 0.1, 0.1, 3)
    assert mean_interval([]) == Interval(None, None, None, 0)
    for bad in (None, math.nan, math.inf):
        assert mean_interval([0.1, bad]) == Interval(None, None, None, 2)
    assert mean_interval([0.3]).half_width is None


@given(st.lists(finite, min_size=1, max_size=50), st.lists(st.floats(0, 100), max_size=5))
def test_percentiles_are_numpys(values: list[float], wanted: list[float]) -> None:
    expected = np.percentile(values, wanted)
    assert percentiles(values, wanted) == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-6)


def test_bad_questions_are_refused() -> None:
    assert percentiles([], [50]) == [None]
    for question in (lambda: percentiles([1.0], [101]), lambda: mean_interval([1, 2], 1.5)):
        with pytest.raises(ValueError, match="expected"):
            question()


def test_sizes_that_no_square_can_hold() -> None:
    plain = mean_interval([1.0, 2.0])
    for size in (1e200, 1e-200):
        got = mean_interval([size, 2 * size])
        assert (got.mean, got.low) == pytest.approx((1.5 * size, (plain.low or 0) * size), rel=1e-9)
    assert mean_interval([1e308, -1e308]) == Interval(0.0, None, None, 2)
    assert mean_interval([1e308] * 3) == Interval(1e308, 1e308, 1e308, 3)
    assert mean_interval([0.0, 0.0]) == Interval(0.0, 0.0, 0.0, 2)
