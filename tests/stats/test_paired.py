"""Paired tests against published values, SciPy, and hand counts."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quintain.stats.paired import (
    MAX_SIGN_FLIP_PAIRS,
    PairedTest,
    paired_differences,
    paired_test,
    sign_flip_p,
)

scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12)

SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
"""Additional hours of sleep of ten patients with two drugs (Student 1908)."""


def by_seed(values: list[float]) -> dict[int, float | None]:
    return dict(enumerate(values, start=1))


def test_the_sleep_data_give_the_published_p_value() -> None:
    """As in the documentation of R's `t.test`: t = 4.0621, p = 0.002833."""
    result = paired_test(*map(by_seed, reversed(SLEEP)))
    assert result.difference == pytest.approx(1.58)
    assert (result.low, result.high) == pytest.approx((0.7001142, 2.4598858), rel=1e-7)
    assert result.p == pytest.approx(0.002833, abs=5e-7)
    assert result.cohen_d == pytest.approx(4.0621 / math.sqrt(10), rel=1e-5)
    # No patient slept less, one as much: two patterns of the nine others, times two for the zero.
    assert result.p_flips == 4 / 2**10


@settings(max_examples=40, deadline=None)
@given(scores)
def test_p_and_interval_are_those_of_scipys_paired_test(pairs: list[tuple[float, float]]) -> None:
    a, b = (list(column) for column in zip(*pairs, strict=True))
    assume(np.std(np.subtract(a, b), ddof=1) > 1e-4)
    result = paired_test(by_seed(a), by_seed(b))
    expected = scipy.stats.ttest_rel(a, b)
    low, high = expected.confidence_interval()
    assert result.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (result.low, result.high) == (
        pytest.approx(low, abs=1e-9),
        pytest.approx(high, abs=1e-9),
    )
    assert (result.n, result.dropped) == (len(pairs), 0)


@settings(max_examples=40, deadline=None)
@given(scores)
def test_exchanging_the_models_changes_only_the_sign(pairs: list[tuple[float, float]]) -> None:
    a, b = (by_seed(list(column)) for column in zip(*pairs, strict=True))
    ab, ba = paired_test(a, b), paired_test(b, a)
    assert ab.difference is not None and ba.difference == pytest.approx(-ab.difference, abs=1e-9)
    assert (ab.p_flips, ba.n) == (pytest.approx(ba.p_flips), ab.n)
    assert ab.p is not None and ab.p == pytest.approx(ba.p) and 0 <= ab.p <= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=8))
def test_sign_flip_test_agrees_with_scipys_permutation_test(hundredths: list[int]) -> None:
    values = [value / 100 for value in hundredths]
    expected = 1.0
    if any(values):  # whole numbers for SciPy, which takes rounding errors of sums for differences
        expected = scipy.stats.permutation_test(
            (np.array(hundredths, float), np.zeros(len(hundredths))),
            lambda x, y, axis: np.abs(np.sum(x - y, axis=axis)),
            permutation_type="samples",
            alternative="greater",
            vectorized=True,
            n_resamples=np.inf,
        ).pvalue
    assert sign_flip_p(values) == pytest.approx(expected)


def test_the_smallest_p_value_of_the_sign_flip_test() -> None:
    for n in range(1, MAX_SIGN_FLIP_PAIRS + 1):
        assert sign_flip_p([1.0 + i / 10 for i in range(n)]) == 2.0 ** (1 - n)
    assert sign_flip_p([]) is None and sign_flip_p([1.0] * (MAX_SIGN_FLIP_PAIRS + 1)) is None


def test_effect_sizes_by_hand_and_of_hedges_table() -> None:
    result = paired_test(by_seed([0.5, 0.7, 0.9]), by_seed([0.4, 0.5, 0.6]))
    assert result.cohen_d == pytest.approx(0.2 / 0.1)  # differences 0.1, 0.2, 0.3
    # Hedges (1981), table 1: the factor at 2 degrees is 0.5642; at 10 it is 0.9228
    assert result.hedges_g == pytest.approx(2 * 0.5642, rel=1e-4)
    eleven = [0.1 * i for i in range(11)]
    more = paired_test(by_seed(eleven), by_seed([0.0] * 11))
    assert more.cohen_d and more.hedges_g == pytest.approx(more.cohen_d * 0.9228, rel=1e-4)
    assert paired_test(by_seed([0.5, 0.7]), by_seed([0.4, 0.5])).hedges_g is None


def test_seeds_of_one_model_only_are_dropped_and_counted() -> None:
    result = paired_test({1: 0.9, 2: 0.8, 7: 0.1}, {2: 0.7, 1: 0.6, 3: 0.2})
    assert (result.n, result.dropped) == (2, 2)
    assert result.difference == pytest.approx((0.3 + 0.1) / 2)
    assert paired_test({1: 0.9}, {2: 0.8}) == PairedTest(n=0, dropped=2)
    assert paired_test({}, {}) == PairedTest(n=0, dropped=0)


def test_one_pair_has_only_a_difference() -> None:
    assert paired_test({4: 0.75}, {4: 0.5}) == PairedTest(n=1, dropped=0, difference=0.25)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_a_missing_score_of_a_common_seed_makes_all_results_none(bad: float | None) -> None:
    for a, b in (({1: 0.5, 2: bad}, {1: 0.4, 2: 0.3}), ({1: 0.5, 2: 0.1}, {1: bad, 2: 0.3})):
        assert paired_test(a, b) == PairedTest(n=2, dropped=0)
        assert paired_differences(a, b) == []
    alone = paired_test({1: 0.5, 2: 0.6, 3: bad}, {1: 0.4, 2: 0.3})  # not a common seed
    assert alone.difference == pytest.approx(0.2)


def test_equal_differences_fall_back_to_sign_flips() -> None:
    """SciPy gives p = 0 for two seeds that both changed by one test sample."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert scipy.stats.ttest_rel([0.91, 0.81], [0.90, 0.80]).pvalue < 1e-10
    result = paired_test(by_seed([0.91, 0.81]), by_seed([0.90, 0.80]))
    assert (result.p, result.p_flips, result.low, result.cohen_d) == (0.5, 0.5, None, None)
    same = paired_test(by_seed([0.91, 0.81, 0.7]), by_seed([0.91, 0.81, 0.7]))
    assert same == PairedTest(n=3, dropped=0, difference=0, low=0, high=0, p=1, p_flips=1)
    zero = paired_test(by_seed([0.0, 0.0]), by_seed([0.0, 0.0]))
    assert (zero.p, zero.difference) == (1.0, 0.0)


def test_differences_within_single_precision_count_as_equal() -> None:
    a, b = np.float32([0.91, 0.81, 0.61]), np.float32([0.90, 0.80, 0.60])
    assert paired_test(by_seed(a.tolist()), by_seed(b.tolist())).p == 0.25
