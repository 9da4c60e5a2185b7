"""Recipes against torch's own schedulers and optimizers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from quintain.run.optimize import Recipe


@pytest.mark.parametrize("steps", [10, 37, 300])
@pytest.mark.parametrize("warmup", [0.1, 0.3])
def test_cosine_is_torchs_linear_then_cosine(steps, warmup):
    recipe = Recipe(lr=0.02, warmup=warmup)
    rising = round(warmup * steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    linear = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=1 / rising, total_iters=rising - 1
    )
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - rising)
    for step in range(steps):
        assert recipe.rate(step, steps) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        if step < rising - 1:
            linear.step()
        elif step >= rising:
            cosine.step()


def test_closed_form_of_the_ends():
    recipe = Recipe(lr=1.0, warmup=0.2)
    assert recipe.rate(0, 10) == 0.5
    assert recipe.rate(1, 10) == recipe.rate(2, 10) == 1.0
    assert recipe.rate(6, 10) == pytest.approx(0.5)
    assert recipe.rate(9, 10) == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))


def test_one_step_and_constant():
    assert Recipe(lr=0.1).rate(0, 1) == 0.1
    constant = Recipe(lr=0.1, schedule="constant", warmup=0.0)
    assert [constant.rate(step, 5) for step in range(5)] == [0.1] * 5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.line = nn.Linear(4, 3)
        self.norm = nn.LayerNorm(3)
        self.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)


def test_only_matrices_decay():
    net = Net()
    optimizer = Recipe(weight_decay=0.3).build(net)
    decayed, kept = optimizer.param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert [id(p) for p in decayed["params"]] == [id(net.line.weight)]
    expected = {id(p) for p in (net.table.weight, net.line.bias, *net.norm.parameters())}
    assert {id(p) for p in kept["params"]} == expected


def test_no_empty_group():
    assert len(Recipe().build(nn.LayerNorm(3)).param_groups) == 1


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_fused_where_torch_offers_it(name):
    optimizer = Recipe(optimizer=name).build(nn.Linear(2, 2))
    assert type(optimizer) is getattr(torch.optim, name)
    assert optimizer.param_groups[0]["fused"]


@pytest.mark.parametrize("name", ["RMSprop", "NAdam", "Adagrad"])
def test_others_are_built_too(name):
    assert type(Recipe(optimizer=name).build(nn.Linear(2, 2))) is getattr(torch.optim, name)


@pytest.mark.parametrize("name", ["AdamX", "lr_scheduler", "Optimizer", "LBFGS", "SparseAdam"])
def test_what_is_no_optimizer_for_this_is_a_sentence(name):
    with pytest.raises(ValueError, match=rf"torch.optim has no .*{name}"):
        Recipe(optimizer=name).build(nn.Linear(2, 2))


def test_the_nearest_name_is_suggested():
    with pytest.raises(ValueError, match="AdamW"):
        Recipe(optimizer="adamw").build(nn.Linear(2, 2))


def test_values_are_checked_all_at_once():
    with pytest.raises(ValueError, match=r"lr must be .*; warmup must be .*; clip_norm must be"):
        Recipe(lr=0.0, warmup=1.0, clip_norm=0.0)
    with pytest.raises(ValueError, match="weight_decay must be"):
        Recipe(weight_decay=-1.0)
    with pytest.raises(ValueError, match="schedule must be cosine or constant, came 'linear'"):
        Recipe(schedule="linear")  # type: ignore[arg-type]


@pytest.mark.parametrize("lr", [float("nan"), float("inf")])
def test_the_rate_is_a_number(lr):
    with pytest.raises(ValueError, match="lr must be"):
        Recipe(lr=lr)


@pytest.mark.parametrize("steps", [10, 300])
def test_a_cosine_with_a_least_rate_is_torchs(steps):
    recipe = Recipe(lr=0.02, min_lr=0.002, warmup=0.0)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    # The first step is the warm-up: it is at least one long.
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - 1, eta_min=0.002)
    assert recipe.rate(0, steps) == 0.02
    for step in range(1, steps):
        assert recipe.rate(step, steps) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        cosine.step()


def test_betas_reach_the_optimizer_and_the_default_is_torchs():
    net = nn.Linear(2, 2)
    assert Recipe(betas=(0.9, 0.99)).build(net).param_groups[0]["betas"] == (0.9, 0.99)
    assert Recipe().build(net).param_groups[0]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"min_lr": 0.01}, "min_lr must be from 0 to lr, 0.003, came 0.01"),
        ({"betas": (0.9,)}, r"betas must be two numbers in \[0, 1\), came \[0.9\]"),
        ({"betas": (0.9, 1.0)}, "betas must be two numbers"),
        ({"optimizer": "SGD", "betas": (0.9, 0.99)}, "betas must be null for SGD"),
    ],
)
def test_rates_and_betas_that_cannot_be(settings, says):
    with pytest.raises(ValueError, match=says):
        Recipe(**settings)
