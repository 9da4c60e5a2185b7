"""A budget refuses values that are out of range."""

from __future__ import annotations

import pytest

from quintain.run.budget import Budget


def test_defaults():
    budget = Budget()
    assert (budget.steps, budget.batch_size, budget.validations) == (300, 32, 5)
    assert budget.params is None and budget.seconds is None


@pytest.mark.parametrize("name", ["params", "steps", "batch_size", "validations", "seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_values_must_be_positive(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0, got {value}"):
        Budget(**{name: value})


def test_all_problems_are_in_one_message():
    with pytest.raises(ValueError, match=r"steps must be .*; batch_size must be"):
        Budget(steps=0, batch_size=-2)


def test_a_target_may_be_negative():
    assert Budget(target=-0.5).target == -0.5
