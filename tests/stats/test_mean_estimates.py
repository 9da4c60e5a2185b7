"""Trimmed and stratified means against SciPy, by hand and by simulation."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from quintain.stats.mean_estimates import Stratum, stratified_mean, trimmed_mean

GAINS = [-0.02, 0.01, -0.013, 0.004, 0.0]


@pytest.mark.parametrize("n", [5, 8, 31, 128])
def test_trimmed_mean_and_error_are_those_of_scipy(n: int) -> None:
    draw = random.Random(n)
    values = [draw.gauss(1.0, 2.0) ** 3 for _ in range(n)]
    estimate = trimmed_mean(values)
    assert estimate.value == pytest.approx(stats.trim_mean(values, 0.2))
    yuen = stats.ttest_ind(values, [0.0] * n, equal_var=False, trim=0.2)  # zeros have no variance
    assert estimate.value / estimate.standard_error == pytest.approx(yuen.statistic)
    assert (estimate.degrees_of_freedom, estimate.n) == (n - 2 * int(0.2 * n) - 1, n)
    assert estimate.degrees_of_freedom == pytest.approx(yuen.df)


def test_trimmed_mean_by_hand() -> None:
    """Of 0, 1, 2, 3, 100 remain 1, 2, 3; Winsorized 1, 1, 2, 3, 3 with 4 as the sum of squares."""
    estimate = trimmed_mean([100.0, 3.0, 0.0, 1.0, 2.0])
    assert estimate == pytest.approx((2.0, math.sqrt(4 / (3 * 2)), 2, 5))


def test_without_trimming_it_is_the_mean() -> None:
    values = [1.0, 2.0, 6.0]
    estimate = trimmed_mean(values, trim=0.0)
    assert (estimate.value, estimate.standard_error) == pytest.approx((3.0, stats.sem(values)))


def test_invalid_columns_are_rejected() -> None:
    for values, trim in (([1.0], 0.2), ([], 0.2), ([1.0, 2.0], 0.5)):
        with pytest.raises(ValueError):
            trimmed_mean(values, trim=trim)
    assert trimmed_mean([1.0, 1.0, 1.0]).standard_error == 0
    with pytest.raises(ValueError, match=r"two values.*lengths \[2, 3\]"):
        trimmed_mean([1.0, 2.0], [1.0, 2.0, 3.0])


def test_a_repeated_column_adds_no_information() -> None:
    values = [0.3, 1.0, 4.0, -2.0, 0.1, 0.2, 9.0]
    assert trimmed_mean(values, values) == pytest.approx(trimmed_mean(values))


def test_the_standard_error_of_two_columns_agrees_with_simulation() -> None:
    """Its estimates agree with the deviation over 2,000 draws of columns with outliers."""
    draw, means, errors = random.Random(3), [], []
    for _ in range(2000):
        shared = [draw.gauss(0, 1) for _ in range(50)]
        columns = [[s + draw.gauss(0, 1) * (5 if draw.random() < 0.1 else 1) for s in shared]
                   for _ in range(2)]  # fmt: skip
        estimate = trimmed_mean(*columns)
        means.append(estimate.value)
        errors.append(estimate.standard_error)
    assert stats.tmean(errors) == pytest.approx(stats.tstd(means), rel=0.07)


def test_bitwise_equal_gains_have_no_variance() -> None:
    mean = stratified_mean([Stratum(gains=[0.0], exact=True), Stratum(gains=GAINS)])
    assert mean and mean.standard_error == pytest.approx(stats.sem(GAINS) / 2)
    assert mean.degrees_of_freedom == 4


def test_strata_without_a_variance_give_no_mean() -> None:
    for strata in ([], [Stratum(gains=[0.1])], [Stratum(gains=GAINS), Stratum(gains=[])]):
        assert stratified_mean(strata) is None
