"""Non-inferiority against SciPy's tests of one and two samples; degenerate input by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quintain.stats.mean_estimates import Stratum
from quintain.stats.noninferiority import NonInferiority, stratified_non_inferiority

A, B = [-0.02, 0.01, -0.013, 0.004, 0.0], [0.01, -0.03, 0.002, 0.015, -0.001, 0.02, 0.03]

gains = st.lists(st.floats(-1, 1), min_size=2, max_size=10)


def one_cell(values: list[float], margin: float) -> NonInferiority:
    return stratified_non_inferiority([Stratum(gains=values)], margin)


@settings(max_examples=40, deadline=None)
@given(gains, st.floats(0, 0.5))
def test_one_cell_is_the_one_sided_paired_t_test(values: list[float], margin: float) -> None:
    assume(np.std(values, ddof=1) > 1e-6)
    result = one_cell(values, margin)
    above = scipy.stats.ttest_1samp(values, -margin, alternative="greater")
    below = scipy.stats.ttest_1samp(values, -margin, alternative="less")
    assert result.p == pytest.approx(above.pvalue, rel=1e-6, abs=1e-9)
    assert result.p_worse == pytest.approx(below.pvalue, rel=1e-6, abs=1e-9)
    assert result.low == pytest.approx(above.confidence_interval(0.95).low, rel=1e-6, abs=1e-9)
    assert result.high == pytest.approx(below.confidence_interval(0.95).high, rel=1e-6, abs=1e-9)
    assert result.n == len(values)


def test_two_cells_are_welchs_test() -> None:
    """The sum of two means is the difference between one and the negated other."""
    result = stratified_non_inferiority([Stratum(gains=A), Stratum(gains=B)], 0.01)
    welch = scipy.stats.ttest_ind(
        np.add(A, 0.01), -np.add(B, 0.01), equal_var=False, alternative="greater"
    )
    assert result.p == pytest.approx(scipy.stats.t.sf(welch.statistic, math.floor(welch.df)))
    assert result.gain == pytest.approx((np.mean(A) + np.mean(B)) / 2)


@settings(max_examples=40, deadline=None)
@given(gains, st.floats(0, 0.5))
def test_outcome_follows_from_the_bounds(values: list[float], margin: float) -> None:
    result = one_cell(values, margin)
    assert result.low is not None and result.high is not None
    if result.low > -margin + 1e-9:
        assert result.outcome == "not worse"
    elif result.high < -margin - 1e-9:
        assert result.outcome == "worse"
    elif result.low < -margin - 1e-9 and result.high > -margin + 1e-9:
        assert result.outcome == "undecided"
    assert result.additional is None or (result.outcome == "undecided" and result.additional >= 1)


@pytest.mark.parametrize(
    ("values", "margin", "outcome"),
    [
        ([0.0, 0.0, 0.0], 0.0, "not worse"),
        ([0.0, 0.0], 0.01, "not worse"),
        ([-0.02, -0.02], 0.01, "worse"),
        ([-0.5, -0.5], 0.5, "not worse"),
        ([0.1], 0.01, "undecided"),
        ([], 0.01, "undecided"),
        ([-0.10, 0.05, 0.03], 0.01, "undecided"),
    ],
)
def test_outcomes_by_definition(values: list[float], margin: float, outcome: str) -> None:
    assert one_cell(values, margin).outcome == outcome


def test_bitwise_equal_cells_are_not_worse() -> None:
    same = Stratum(gains=[0.0], exact=True)
    assert stratified_non_inferiority([same], 0.01).outcome == "not worse"


def test_equal_gains_with_a_floor_are_undecided() -> None:
    """Three seeds that lost two of 100 test samples each."""
    lost = [-0.02] * 3
    assert one_cell(lost, 0.01).outcome == "worse"
    with_floor = stratified_non_inferiority([Stratum(gains=lost, floor=0.01)], 0.01)
    assert with_floor.outcome == "undecided"


def test_one_seed_or_none_is_undecided() -> None:
    for strata in ([], [Stratum(gains=[0.1])], [Stratum(gains=A), Stratum(gains=[])]):
        result = stratified_non_inferiority(strata, 0.01)
        assert (result.outcome, result.p, result.additional) == ("undecided", None, None)
    assert one_cell([0.1], 0.01).gain == 0.1


def test_the_suggested_number_of_seeds_would_decide() -> None:
    result = one_cell(A, 0.01)
    assert result.outcome == "undecided" and result.additional is not None
    effect = (np.mean(A) + 0.01) / np.std(A, ddof=1)
    n = 5 + result.additional
    critical = scipy.stats.t.ppf(0.95, n - 1)
    assert scipy.stats.nct.sf(critical, n - 1, effect * math.sqrt(n)) >= 0.8
    fewer = scipy.stats.t.ppf(0.95, n - 2)
    assert scipy.stats.nct.sf(fewer, n - 2, effect * math.sqrt(n - 1)) < 0.8


def test_more_seeds_of_the_same_kind_decide() -> None:
    few = [-0.03, 0.02, 0.01, 0.02]
    assert one_cell(few, 0.01).outcome == "undecided" and one_cell(few, 0.01).additional is not None
    assert one_cell(few * 12, 0.01).outcome == "not worse"
    assert one_cell([-0.01, 0.01, -0.03], 0.01).additional is None  # exactly on the margin


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("values", [[0.1, 0.2], []])
def test_margins_that_are_negative_or_not_finite_are_rejected(
    values: list[float], margin: float
) -> None:
    with pytest.raises(ValueError, match="expected a margin of 0 or more"):
        one_cell(values, margin)
