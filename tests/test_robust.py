"""The trimmed mean against SciPy, and by hand."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from quintain.stats.robust import trimmed_mean


@pytest.mark.parametrize("n", [5, 8, 31, 128])
def test_against_scipy(n: int) -> None:
    draw = random.Random(n)
    values = [draw.gauss(1.0, 2.0) ** 3 for _ in range(n)]
    found = trimmed_mean(values)
    assert found.value == pytest.approx(stats.trim_mean(values, 0.2))
    yuen = stats.ttest_ind(values, [0.0] * n, equal_var=False, trim=0.2)  # the zeros have no error
    assert found.value / found.error == pytest.approx(yuen.statistic)
    assert (found.degrees, found.n) == (n - 2 * int(0.2 * n) - 1, n)
    assert found.degrees == pytest.approx(yuen.df)


def test_by_hand() -> None:
    """Of 0, 1, 2, 3, 100 stay 1, 2, 3; Winsorized 1, 1, 2, 3, 3 with 4 as the sum of squares."""
    found = trimmed_mean([100.0, 3.0, 0.0, 1.0, 2.0])
    assert found == pytest.approx((2.0, math.sqrt(4 / (3 * 2)), 2, 5))


def test_without_trimming_it_is_the_mean() -> None:
    values = [1.0, 2.0, 6.0]
    found = trimmed_mean(values, trim=0.0)
    assert (found.value, found.error) == pytest.approx((3.0, stats.sem(values)))


def test_what_has_no_answer() -> None:
    for values, trim in (([1.0], 0.2), ([], 0.2), ([1.0, 2.0], 0.5)):
        with pytest.raises(ValueError):
            trimmed_mean(values, trim=trim)
    assert trimmed_mean([1.0, 1.0, 1.0]).error == 0
    with pytest.raises(ValueError, match="two values"):
        trimmed_mean([1.0, 2.0], [1.0, 2.0, 3.0])


def test_two_columns_that_are_one_say_no_more_than_it() -> None:
    values = [0.3, 1.0, 4.0, -2.0, 0.1, 0.2, 9.0]
    assert trimmed_mean(values, values) == pytest.approx(trimmed_mean(values))


def test_the_error_of_two_columns_by_trial() -> None:
    """Of 2,000 draws of correlated columns with wild rows the deviation is what each one says."""
    draw, means, errors = random.Random(3), [], []
    for _ in range(2000):
        shared = [draw.gauss(0, 1) for _ in range(50)]
        columns = [[s + draw.gauss(0, 1) * (5 if draw.random() < 0.1 else 1) for s in shared]
                   for _ in range(2)]  # fmt: skip
        found = trimmed_mean(*columns)
        means.append(found.value)
        errors.append(found.error)
    assert stats.tmean(errors) == pytest.approx(stats.tstd(means), rel=0.07)
