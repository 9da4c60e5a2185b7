"""Student's t, central and noncentral, against scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from quintain.stats.student import student_power, student_quantile, student_tail


@pytest.mark.parametrize("degrees", [*range(1, 40), 99, 100, 1000])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.975, 0.995, 0.9995])
def test_student_quantile_is_scipys(degrees: int, probability: float) -> None:
    expected = scipy.stats.t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-10, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.floats(-1e4, 1e4), st.integers(1, 1000))
def test_student_tail_is_scipys(t: float, degrees: int) -> None:
    expected = float(scipy.stats.t.sf(t, degrees))
    assert student_tail(t, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-290)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 0.9999), st.integers(1, 200))
def test_tail_and_quantile_are_inverse(probability: float, degrees: int) -> None:
    back = 1 - student_tail(student_quantile(probability, degrees), degrees)
    assert back == pytest.approx(probability, rel=1e-9)


def test_tails_of_infinity() -> None:
    assert (student_tail(math.inf, 3), student_tail(-math.inf, 3)) == (0.0, 1.0)
    assert student_tail(0.0, 7) == 0.5


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("level", [0.05, 0.01, 0.05 / 15])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 20, 150])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.5, 1.2, 4.0, 20.0])
def test_power_is_that_of_scipys_noncentral_t(
    effect: float, n: int, level: float, sides: int
) -> None:
    critical, shift = scipy.stats.t.isf(level / sides, n - 1), effect * math.sqrt(n)
    expected = scipy.stats.nct.sf(critical, n - 1, shift)
    if sides == 2:  # scipy says nan where the lower tail is nothing
        expected += np.nan_to_num(scipy.stats.nct.cdf(-critical, n - 1, shift))
    assert student_power(effect, n, level=level, sides=sides) == pytest.approx(expected, abs=1e-6)


def test_power_is_statsmodels() -> None:
    expected = TTestPower().power(0.8, nobs=10, alpha=0.05)
    assert student_power(0.8, 10) == pytest.approx(float(expected), rel=1e-6)


def test_bad_questions_are_refused() -> None:
    for question in (
        lambda: student_quantile(0.3, 4),
        lambda: student_tail(1.0, 0),
        lambda: student_tail(math.nan, 2),
        lambda: student_power(1.0, 1),
        lambda: student_power(1.0, 5, sides=3),
    ):
        with pytest.raises(ValueError, match="expected"):
            question()
