"""Paired differences and tests against scipy; counts of seeds by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quintain.stats.paired import MOST_FLIPPED, Paired, pair_differences, paired, sign_flips

scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12)
NOTHING = dict.fromkeys(("difference", "low", "high", "p", "p_flips", "cohen_d", "hedges_g"))


def by_seed(values: list[float]) -> dict[int, float | None]:
    return dict(enumerate(values, start=1))


@settings(max_examples=40, deadline=None)
@given(scores)
def test_p_and_interval_are_scipys(pairs: list[tuple[float, float]]) -> None:
    a, b = (list(column) for column in zip(*pairs, strict=True))
    assume(np.std(np.subtract(a, b), ddof=1) > 1e-4)
    got = paired(by_seed(a), by_seed(b))
    expected = scipy.stats.ttest_rel(a, b)
    low, high = expected.confidence_interval()
    assert got.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (got.low, got.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert (got.n, got.dropped) == (len(pairs), 0)


@settings(max_examples=40, deadline=None)
@given(scores)
def test_the_other_way_round_only_the_sign_turns(pairs: list[tuple[float, float]]) -> None:
    a, b = (by_seed(list(column)) for column in zip(*pairs, strict=True))
    one, two = paired(a, b), paired(b, a)
    assert one.difference is not None and two.difference == pytest.approx(-one.difference, abs=1e-9)
    assert (one.p_flips, two.n) == (pytest.approx(two.p_flips), one.n)
    assert one.p == pytest.approx(two.p) and 0 <= (one.p or 0) <= 1
    assert (one.p or 0) >= 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=8))
def test_sign_flips_are_scipys(whole: list[int]) -> None:
    values = [value / 100 for value in whole]
    expected = 1.0
    if any(values):  # SciPy takes the whole numbers: sums of hundredths are not told from zero
        expected = scipy.stats.permutation_test(
            (np.array(whole, float), np.zeros(len(whole))),
            lambda x, y, axis: np.abs(np.sum(x - y, axis=axis)),
            permutation_type="samples",
            alternative="greater",
            vectorized=True,
            n_resamples=np.inf,
        ).pvalue
    assert sign_flips(values) == pytest.approx(expected)


def test_the_least_that_sign_flips_can_say() -> None:
    for n in range(1, MOST_FLIPPED + 1):
        assert sign_flips([1.0 + i / 10 for i in range(n)]) == 2.0 ** (1 - n)
    assert sign_flips([]) is None and sign_flips([1.0] * (MOST_FLIPPED + 1)) is None


def test_effect_sizes_by_hand_and_by_simulation() -> None:
    got = paired(by_seed([0.5, 0.7, 0.9]), by_seed([0.4, 0.5, 0.6]))
    assert got.cohen_d == pytest.approx(0.2 / 0.1)  # differences 0.1, 0.2, 0.3
    # Hedges (1981), table 1: the factor at 2 degrees is 0.5642; at 10 it is 0.9228
    assert got.hedges_g == pytest.approx(2 * 0.5642, rel=1e-4)
    eleven = [0.1 * i for i in range(11)]
    more = paired(by_seed(eleven), by_seed([0.0] * 11))
    assert more.cohen_d and more.hedges_g == pytest.approx(more.cohen_d * 0.9228, rel=1e-4)
    assert paired(by_seed([0.5, 0.7]), by_seed([0.4, 0.5])).hedges_g is None


def test_seeds_that_only_one_has_are_dropped_and_counted() -> None:
    got = paired({1: 0.9, 2: 0.8, 7: 0.1}, {2: 0.7, 1: 0.6, 3: 0.2})
    assert (got.n, got.dropped) == (2, 2)
    assert got.difference == pytest.approx((0.3 + 0.1) / 2)
    assert paired({1: 0.9}, {2: 0.8}) == Paired(n=0, dropped=2, **NOTHING)
    assert paired({}, {}) == Paired(n=0, dropped=0, **NOTHING)


def test_one_pair_has_a_difference_and_nothing_else() -> None:
    assert paired({4: 0.75}, {4: 0.5}) == Paired(n=1, dropped=0, **(NOTHING | {"difference": 0.25}))


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_a_missing_score_of_a_common_seed_makes_all_missing(bad: float | None) -> None:
    for a, b in (({1: 0.5, 2: bad}, {1: 0.4, 2: 0.3}), ({1: 0.5, 2: 0.1}, {1: bad, 2: 0.3})):
        assert paired(a, b) == Paired(n=2, dropped=0, **NOTHING)
        assert pair_differences(a, b) == []
    alone = paired({1: 0.5, 2: 0.6, 3: bad}, {1: 0.4, 2: 0.3})  # not a common seed
    assert alone.difference == pytest.approx(0.2)


def test_equal_differences_have_no_deviation() -> None:
    """Scipy says p = 0 here, of two seeds that both moved by one test sample."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert scipy.stats.ttest_rel([0.91, 0.81], [0.90, 0.80]).pvalue < 1e-10
    got = paired(by_seed([0.91, 0.81]), by_seed([0.90, 0.80]))
    assert (got.p, got.p_flips, got.low, got.cohen_d) == (0.5, 0.5, None, None)
    same = paired(by_seed([0.91, 0.81, 0.7]), by_seed([0.91, 0.81, 0.7]))
    assert same == Paired(
        n=3, dropped=0, **(NOTHING | {"difference": 0, "low": 0, "high": 0, "p": 1, "p_flips": 1})
    )
    zero = paired(by_seed([0.0, 0.0]), by_seed([0.0, 0.0]))
    assert (zero.p, zero.difference) == (1.0, 0.0)


def test_single_precision_counts_as_equal() -> None:
    a, b = np.float32([0.91, 0.81, 0.61]), np.float32([0.90, 0.80, 0.60])
    assert paired(by_seed(a.tolist()), by_seed(b.tolist())).p == 0.25
