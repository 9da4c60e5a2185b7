"""How many seeds: against statsmodels' power analysis and by trying it out."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from quintain.stats.paired import paired
from quintain.stats.seeds import MOST, POWER, more_seeds, seeds_needed
from quintain.stats.student import student_power


@pytest.mark.parametrize("effect", [0.2, 0.5, 0.8, 1.0, 1.5, 3.0])
@pytest.mark.parametrize(("sides", "word"), [(2, "two-sided"), (1, "larger")])
def test_seeds_needed_are_statsmodels(effect: float, sides: int, word: str) -> None:
    expected = TTestPower().solve_power(effect, alpha=0.05, power=POWER, alternative=word)
    assert seeds_needed(effect, sides=sides) == math.ceil(float(expected))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.15, 5), st.sampled_from([0.05, 0.05 / 15]))
def test_one_fewer_is_too_few(effect: float, level: float) -> None:
    n = seeds_needed(effect, level=level)
    assert n is not None and student_power(effect, n, level=level) >= POWER
    assert n == 2 or student_power(effect, n - 1, level=level) < POWER


def test_so_many_seeds_separate_about_as_often_as_promised() -> None:
    n, draw = seeds_needed(1.0), random.Random(3)
    assert n is not None
    zero = dict.fromkeys(range(n), 0.0)
    found = sum(
        (paired({s: draw.gauss(1, 1) for s in range(n)}, zero).p or 1) <= 0.05 for _ in range(400)
    )
    assert found / 400 == pytest.approx(POWER, abs=0.06)  # three standard deviations


def test_more_seeds_by_hand() -> None:
    differences = [0.0, 1.0, 2.0]  # mean 1, deviation 1
    needed = math.ceil(float(TTestPower().solve_power(1.0, alpha=0.05, power=POWER)))
    assert more_seeds(differences) == needed - 3
    assert more_seeds(differences, level=0.01) > needed - 3
    assert more_seeds([1.0, 1.1, 0.9, 1.05, 0.95]) == 0


@pytest.mark.parametrize(
    "differences", [[], [0.3], [0.3, 0.3], [0.0, 0.0, 0.0], [-1.0, 1.0], [1e-9, 1.0, -1.0]]
)
def test_no_number_helps(differences: list[float]) -> None:
    assert more_seeds(differences) is None


def test_effects_that_are_none() -> None:
    assert seeds_needed(0.0) is None and seeds_needed(math.nan) is None
    assert seeds_needed(math.inf) is None
    assert seeds_needed(1e-3) is None and seeds_needed(100.0) == 2
    assert (seeds_needed(0.0887) or 0) <= MOST


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e307])
def test_more_seeds_do_not_depend_on_the_unit(scale: float) -> None:
    assert more_seeds([scale, 2 * scale, 4 * scale]) == more_seeds([1.0, 2.0, 4.0])
