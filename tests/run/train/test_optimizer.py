"""`OptimizerConfig` against torch's own schedulers and optimizers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from quintain.run.train.optimizer import OptimizerConfig


@pytest.mark.parametrize("steps", [10, 37, 300])
@pytest.mark.parametrize("warmup", [0.1, 0.3])
def test_the_schedule_is_torchs_linear_lr_and_cosine_annealing_lr(steps, warmup):
    config = OptimizerConfig(lr=0.02, warmup=warmup)
    warmup_steps = round(warmup * steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    linear = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=1 / warmup_steps, total_iters=warmup_steps - 1
    )
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warmup_steps)
    for step in range(steps):
        assert config.learning_rate(step, steps) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-6
        )
        optimizer.step()
        if step < warmup_steps - 1:
            linear.step()
        elif step >= warmup_steps:
            cosine.step()


def test_first_and_last_learning_rate_in_closed_form():
    config = OptimizerConfig(lr=1.0, warmup=0.2)
    assert config.learning_rate(0, 10) == 0.5
    assert config.learning_rate(1, 10) == config.learning_rate(2, 10) == 1.0
    assert config.learning_rate(6, 10) == pytest.approx(0.5)
    assert config.learning_rate(9, 10) == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))


def test_a_single_step_and_a_constant_schedule():
    assert OptimizerConfig(lr=0.1).learning_rate(0, 1) == 0.1
    constant = OptimizerConfig(lr=0.1, schedule="constant", warmup=0.0)
    assert [constant.learning_rate(step, 5) for step in range(5)] == [0.1] * 5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.line = nn.Linear(4, 3)
        self.norm = nn.LayerNorm(3)
        self.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)


def test_only_matrices_are_decayed():
    net = Net()
    optimizer = OptimizerConfig(weight_decay=0.3).build(net)
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert [id(p) for p in decayed["params"]] == [id(net.line.weight)]
    expected = {id(p) for p in (net.table.weight, net.line.bias, *net.norm.parameters())}
    assert {id(p) for p in plain["params"]} == expected


def test_there_is_no_empty_parameter_group():
    assert len(OptimizerConfig().build(nn.LayerNorm(3)).param_groups) == 1


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_optimizers_are_fused_where_torch_offers_it(name):
    optimizer = OptimizerConfig(optimizer=name).build(nn.Linear(2, 2))
    assert type(optimizer) is getattr(torch.optim, name)
    assert optimizer.param_groups[0]["fused"]


@pytest.mark.parametrize("name", ["RMSprop", "NAdam", "Adagrad"])
def test_other_optimizers_are_built(name):
    assert type(OptimizerConfig(optimizer=name).build(nn.Linear(2, 2))) is getattr(
        torch.optim, name
    )


@pytest.mark.parametrize("name", ["AdamX", "lr_scheduler", "Optimizer", "LBFGS", "SparseAdam"])
def test_an_unusable_optimizer_is_refused(name):
    with pytest.raises(ValueError, match=rf"torch.optim has no .*{name}"):
        OptimizerConfig(optimizer=name).build(nn.Linear(2, 2))


def test_the_nearest_name_is_suggested():
    with pytest.raises(ValueError, match="AdamW"):
        OptimizerConfig(optimizer="adamw").build(nn.Linear(2, 2))


def test_all_wrong_settings_are_in_one_message():
    with pytest.raises(ValueError, match=r"lr must be .*; warmup must be .*; clip_norm must be"):
        OptimizerConfig(lr=0.0, warmup=1.0, clip_norm=0.0)
    with pytest.raises(ValueError, match="weight_decay must be"):
        OptimizerConfig(weight_decay=-1.0)
    with pytest.raises(ValueError, match="schedule must be cosine or constant, got 'linear'"):
        OptimizerConfig(schedule="linear")  # type: ignore[arg-type]


@pytest.mark.parametrize("lr", [float("nan"), float("inf")])
def test_the_learning_rate_must_be_finite(lr):
    with pytest.raises(ValueError, match="lr must be"):
        OptimizerConfig(lr=lr)


@pytest.mark.parametrize("steps", [10, 300])
def test_a_cosine_that_ends_at_min_lr_is_torchs(steps):
    config = OptimizerConfig(lr=0.02, min_lr=0.002, warmup=0.0)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    # The first step is the warm-up, which has at least one step.
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - 1, eta_min=0.002)
    assert config.learning_rate(0, steps) == 0.02
    for step in range(1, steps):
        assert config.learning_rate(step, steps) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-6
        )
        optimizer.step()
        cosine.step()


def test_betas_reach_the_optimizer_and_the_default_is_torchs():
    net = nn.Linear(2, 2)
    assert OptimizerConfig(betas=(0.9, 0.99)).build(net).param_groups[0]["betas"] == (0.9, 0.99)
    assert OptimizerConfig().build(net).param_groups[0]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_lr": 0.01}, "min_lr must be from 0 to lr, 0.003, got 0.01"),
        ({"betas": (0.9,)}, r"betas must be two numbers in \[0, 1\), got \[0.9\]"),
        ({"betas": (0.9, 1.0)}, "betas must be two numbers"),
        ({"optimizer": "SGD", "betas": (0.9, 0.99)}, "betas must be null for SGD"),
    ],
)
def test_wrong_rates_and_betas_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**settings)
