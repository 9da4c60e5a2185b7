"""Non-inferiority and ratios against scipy; degenerate input by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quintain.stats.intervals import Interval
from quintain.stats.margin import non_inferiority
from quintain.stats.ratios import ratio_interval

gains = st.lists(st.floats(-1, 1), min_size=2, max_size=10)
positive = st.floats(1e-3, 1e3)


@settings(max_examples=40, deadline=None)
@given(gains, st.floats(0, 0.5))
def test_p_is_scipys_one_sided_test(values: list[float], margin: float) -> None:
    assume(np.std(values, ddof=1) > 1e-6)
    got = non_inferiority(values, margin)
    above = scipy.stats.ttest_1samp(values, -margin, alternative="greater")
    below = scipy.stats.ttest_1samp(values, -margin, alternative="less")
    assert got.p == pytest.approx(above.pvalue, rel=1e-6, abs=1e-9)
    assert got.p_worse == pytest.approx(below.pvalue, rel=1e-6, abs=1e-9)
    assert got.low == pytest.approx(above.confidence_interval(0.95).low, rel=1e-6, abs=1e-9)
    assert got.high == pytest.approx(below.confidence_interval(0.95).high, rel=1e-6, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(gains, st.floats(0, 0.5))
def test_the_outcome_is_what_the_bounds_say(values: list[float], margin: float) -> None:
    got = non_inferiority(values, margin)
    assert got.low is not None and got.high is not None
    if got.low > -margin + 1e-9:
        assert got.outcome == "not worse"
    elif got.high < -margin - 1e-9:
        assert got.outcome == "worse"
    elif got.low < -margin - 1e-9 and got.high > -margin + 1e-9:
        assert got.outcome == "undecided"
    assert got.more is None or (got.outcome == "undecided" and got.more >= 1)


@pytest.mark.parametrize(
    ("values", "margin", "outcome"),
    [
        ([0.0, 0.0, 0.0], 0.0, "not worse"),
        ([0.0, 0.0], 0.01, "not worse"),
        ([-0.02, -0.02], 0.01, "worse"),
        ([-0.5, -0.5], 0.5, "not worse"),
        ([0.1], 0.01, "undecided"),
        ([], 0.01, "undecided"),
        ([0.1, None], 0.01, "undecided"),
        ([0.1, math.nan], 0.01, "undecided"),
        ([-0.10, 0.05, 0.03], 0.01, "undecided"),
    ],
)
def test_outcomes_by_definition(values: list[float | None], margin: float, outcome: str) -> None:
    assert non_inferiority(values, margin).outcome == outcome


def test_how_many_more_would_decide() -> None:
    few = non_inferiority([-0.03, 0.02, 0.01, 0.02], 0.01)
    assert few.outcome == "undecided" and few.more is not None
    whole = [-0.03, 0.02, 0.01, 0.02] * 12
    assert non_inferiority(whole, 0.01).outcome == "not worse"
    assert non_inferiority([-0.01, 0.01, -0.03], 0.01).more is None  # exactly on the margin


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="expected a margin"):
        non_inferiority([0.1, 0.2], margin)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=9))
def test_ratio_is_the_geometric_mean(pairs: list[tuple[float, float]]) -> None:
    a, b = (list(column) for column in zip(*pairs, strict=True))
    logs = np.log(np.divide(a, b))
    got, back = ratio_interval(a, b), ratio_interval(b, a)
    assert got.mean == pytest.approx(scipy.stats.gmean(np.divide(a, b)), rel=1e-9)
    if np.std(logs) > 1e-6:
        low, high = scipy.stats.t.interval(0.95, len(a) - 1, logs.mean(), scipy.stats.sem(logs))
        if high < 700:
            assert got.low == pytest.approx(math.exp(low), rel=1e-6)
            assert got.high == pytest.approx(math.exp(high), rel=1e-6)
    assert got.mean is not None and back.mean == pytest.approx(1 / got.mean, rel=1e-9)


def test_ratios_that_cannot_be_had() -> None:
    assert ratio_interval([2.0], [1.0]) == Interval(pytest.approx(2.0), None, None, 1)
    for bad in (None, 0.0, -1.0, math.nan, math.inf):
        assert ratio_interval([1.0, bad], [1.0, 2.0]) == Interval(None, None, None, 2)
        assert ratio_interval([1.0, 2.0], [1.0, bad]) == Interval(None, None, None, 2)
    assert ratio_interval([], []) == Interval(None, None, None, 0)
    assert ratio_interval([1e308, 1e-300], [1e-308, 1e300]).high is None  # no float holds it
    with pytest.raises(ValueError):
        ratio_interval([1.0], [])
