"""Numbers of seeds and power against published values, Boost's noncentral t, and simulation."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from quintain.stats.paired import paired_test
from quintain.stats.sample_size import (
    MAX_SEEDS,
    POWER,
    additional_seeds,
    required_seeds,
    t_test_power,
)


@pytest.mark.parametrize(
    ("effect", "two_sided", "one_sided"), [(0.2, 199, 156), (0.5, 34, 27), (0.8, 15, 12)]
)
def test_required_seeds_of_small_medium_and_large_effects(
    effect: float, two_sided: int, one_sided: int
) -> None:
    """Cohen's (1988) effects; the sizes are those of G*Power (Faul et al. 2007), matched pairs."""
    assert required_seeds(effect) == two_sided
    assert required_seeds(effect, sides=1) == one_sided


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("level", [0.05, 0.01, 0.05 / 15])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 20, 150])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.5, 1.2, 4.0, 20.0])
def test_power_agrees_with_the_noncentral_t_of_boost(
    effect: float, n: int, level: float, sides: int
) -> None:
    """`scipy.stats.nct.sf` is Boost's implementation, `scipy.special.nctdtr` another one."""
    critical, shift = scipy.stats.t.isf(level / sides, n - 1), effect * math.sqrt(n)
    expected = scipy.stats.nct.sf(critical, n - 1, shift)
    if sides == 2:
        expected += scipy.stats.nct.sf(critical, n - 1, -shift)
    assert t_test_power(effect, n, level=level, sides=sides) == pytest.approx(expected, abs=1e-6)


def test_power_without_an_effect_is_the_level() -> None:
    for sides in (1, 2):
        assert t_test_power(0.0, 7, level=0.03, sides=sides) == pytest.approx(0.03)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.15, 5), st.sampled_from([0.05, 0.05 / 15]))
def test_one_seed_fewer_is_too_few(effect: float, level: float) -> None:
    n = required_seeds(effect, level=level)
    assert n is not None and t_test_power(effect, n, level=level) >= POWER
    assert n == 2 or t_test_power(effect, n - 1, level=level) < POWER


def test_the_required_seeds_detect_the_effect_as_often_as_promised() -> None:
    n, draw = required_seeds(1.0), random.Random(3)
    assert n is not None
    zero = dict.fromkeys(range(n), 0.0)
    detected = sum(
        (paired_test({s: draw.gauss(1, 1) for s in range(n)}, zero).p or 1) <= 0.05
        for _ in range(400)
    )
    assert detected / 400 == pytest.approx(POWER, abs=0.06)  # three standard deviations


def test_additional_seeds_by_hand() -> None:
    differences = [0.0, 1.0, 2.0]  # mean 1, deviation 1: G*Power gives 10 for this effect
    assert additional_seeds(differences) == 10 - 3
    assert additional_seeds(differences, level=0.01) > 10 - 3
    assert additional_seeds([1.0, 1.1, 0.9, 1.05, 0.95]) == 0


@pytest.mark.parametrize(
    "differences", [[], [0.3], [0.3, 0.3], [0.0, 0.0, 0.0], [-1.0, 1.0], [1e-9, 1.0, -1.0]]
)
def test_no_number_is_suggested_if_none_is_known(differences: list[float]) -> None:
    assert additional_seeds(differences) is None


def test_extreme_effects_have_an_answer() -> None:
    assert required_seeds(0.0) is None and required_seeds(math.nan) is None
    assert required_seeds(math.inf) is None
    assert required_seeds(1e-3) is None and required_seeds(100.0) == 2
    assert (required_seeds(0.0887) or 0) <= MAX_SEEDS
    assert all(np.isfinite(t_test_power(10.0**k, n)) for k in range(-3, 5) for n in (2, 9, 1000))


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e307])
def test_additional_seeds_do_not_depend_on_the_unit(scale: float) -> None:
    expected = additional_seeds([1.0, 2.0, 4.0])
    assert additional_seeds([scale, 2 * scale, 4 * scale]) == expected
