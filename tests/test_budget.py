"""Budgets refuse what cannot be."""

from __future__ import annotations

import pytest

from quintain.run.budget import Budget


def test_defaults_are_sensible():
    budget = Budget()
    assert (budget.steps, budget.batch_size, budget.validations) == (300, 32, 5)
    assert budget.params is None and budget.seconds is None


@pytest.mark.parametrize("name", ["params", "steps", "batch_size", "validations", "seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_positive(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0, came {value}"):
        Budget(**{name: value})


def test_all_problems_at_once():
    with pytest.raises(ValueError, match=r"steps must be .*; batch_size must be"):
        Budget(steps=0, batch_size=-2)


def test_a_negative_target_is_fine():
    assert Budget(target=-0.5).target == -0.5
