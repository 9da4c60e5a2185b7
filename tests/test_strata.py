"""Several cells together, against SciPy's tests of one and of two samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from quintain.stats.strata import Stratum, mean_of, not_inferior

A, B = [-0.02, 0.01, -0.013, 0.004, 0.0], [0.01, -0.03, 0.002, 0.015, -0.001, 0.02, 0.03]


def test_one_cell_is_the_one_sided_paired_t_test() -> None:
    found = not_inferior([Stratum(gains=A)], 0.01)
    for p, side in ((found.p, "greater"), (found.p_worse, "less")):
        expected = scipy.stats.ttest_1samp(A, -0.01, alternative=side).pvalue
        assert p == pytest.approx(expected, rel=1e-9)
    low, high = scipy.stats.t.interval(0.9, 4, np.mean(A), scipy.stats.sem(A))
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), 5)


def test_two_cells_are_welchs_test() -> None:
    """The sum of two means is the difference of one from the other turned round."""
    found = not_inferior([Stratum(gains=A), Stratum(gains=B)], 0.01)
    welch = scipy.stats.ttest_ind(
        np.add(A, 0.01), -np.add(B, 0.01), equal_var=False, alternative="greater"
    )
    assert found.p == pytest.approx(scipy.stats.t.sf(welch.statistic, math.floor(welch.df)))
    assert found.gain == pytest.approx((np.mean(A) + np.mean(B)) / 2)


def test_what_is_equal_bit_for_bit_has_no_chance_in_it() -> None:
    same = Stratum(gains=[0.0], exact=True)
    assert not_inferior([same], 0.01).outcome == "not worse"
    both = mean_of([same, Stratum(gains=A)])
    assert both and both.error == pytest.approx(scipy.stats.sem(A) / 2) and both.degrees == 4


def test_equal_gains_by_chance_are_no_proof() -> None:
    """Three seeds that lost two of 100 test samples each."""
    lost = [-0.02] * 3
    assert not_inferior([Stratum(gains=lost)], 0.01).outcome == "worse"
    assert not_inferior([Stratum(gains=lost, floor=0.01)], 0.01).outcome == "undecided"


def test_one_seed_or_none_is_undecided() -> None:
    for strata in ([], [Stratum(gains=[0.1])], [Stratum(gains=A), Stratum(gains=[])]):
        found = not_inferior(strata, 0.01)
        assert (found.outcome, found.p, found.more) == ("undecided", None, None)


def test_more_seeds_decide() -> None:
    found = not_inferior([Stratum(gains=A)], 0.01, power=0.8)
    assert found.outcome == "undecided" and found.more is not None
    effect = (np.mean(A) + 0.01) / np.std(A, ddof=1)
    n = 5 + found.more
    critical = scipy.stats.t.ppf(0.95, n - 1)
    assert scipy.stats.nct.sf(critical, n - 1, effect * math.sqrt(n)) >= 0.8
    fewer = scipy.stats.t.ppf(0.95, n - 2)
    assert scipy.stats.nct.sf(fewer, n - 2, effect * math.sqrt(n - 1)) < 0.8


@pytest.mark.parametrize("margin", [-1.0, math.nan])
def test_a_margin_is_not_negative(margin: float) -> None:
    with pytest.raises(ValueError, match="margin of 0 or more"):
        not_inferior([Stratum(gains=A)], margin)
