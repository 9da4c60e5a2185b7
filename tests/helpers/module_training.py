"""Trains a small model with `TrainingModule`, without a cell."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.cell_factory import Points, load_points
from quintain.compose.instantiate import locate
from quintain.contracts import Features
from quintain.model import Model
from quintain.run.budget import Budget
from quintain.run.clocks import PhaseClocks
from quintain.run.log_filters import filter_logs
from quintain.run.train.callbacks import CurveRecorder, PhaseSwitcher, ProgressReporter
from quintain.run.train.loaders import BatchOrder, EvalLoader, TrainLoader
from quintain.run.train.module import TrainingModule
from quintain.run.train.optimizer import OptimizerConfig
from quintain.run.train.step_timing import TimeLimit
from quintain.run.train.trainer import make_trainer

CPU = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}


@pytest.fixture
def quiet_logs():
    with filter_logs():
        yield
    torch.use_deterministic_algorithms(False)


class SmallCore(nn.Module):
    """Two layers and dropout, so that random numbers count too.

    `transform(step, x)` may change the inputs of a training step, or wait.
    """

    input_layout = "sequence"

    def __init__(self, transform=lambda step, x: x):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 4))
        self.out = Features(dim=4, grid=(1,))
        self.transform, self.calls = transform, 0

    def forward(self, x, mask):
        if self.training:
            self.calls += 1
            x = self.transform(self.calls, x)
        return self.net(x), mask


def build_small_model(data, transform=lambda step, x: x):
    torch.manual_seed(5)
    stem = locate("quintain.plugins.stem.series.Series")(data.spec, input_layout="sequence")
    core = SmallCore(transform)
    head = locate("quintain.plugins.head.classify.Classify")(core.out, data.spec)
    return Model(stem, core, head)


def fit_module(
    budget: Budget,
    *,
    data: Points | None = None,
    optimizer_config: OptimizerConfig | None = None,
    transform=lambda step, x: x,
    module_class: type[TrainingModule] = TrainingModule,
    chunk: int = 3,
):
    """Train; return the module, the trainer, the data, the clocks and the reported steps."""
    data = data or load_points()
    clocks, reported = PhaseClocks(), list[int]()
    module = module_class(
        build_small_model(data, transform),
        optimizer_config or OptimizerConfig(lr=0.05),
        data,
        steps=budget.steps,
        time_limit=TimeLimit(clocks, budget.seconds),
    )
    callbacks = [
        CurveRecorder(clocks),
        ProgressReporter(reported.append),
        PhaseSwitcher(clocks, lambda: None),
    ]
    order = BatchOrder(data.size("train"), budget.batch_size, seed=3)
    loader = TrainLoader(
        data, order, steps=budget.steps, chunk=chunk, validations=budget.validations
    )
    trainer = make_trainer(CPU, loader, budget, callbacks=callbacks)
    torch.manual_seed(9)
    trainer.fit(module, train_dataloaders=loader, val_dataloaders=EvalLoader(data, "val"))
    module.reported, module.clocks = reported, clocks
    return module, trainer, data
