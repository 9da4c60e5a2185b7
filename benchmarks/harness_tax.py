"""What the harness costs a training step, against a bare PyTorch loop.

Both ways have the same model and initial weights, batches, order, optimizer and learning rates.
They take turns in one process on one thread. *Loop* is from the first batch to the last step;
*fit* is the whole `Trainer.fit`, with Lightning's set-up and tear-down. Nothing is validated.
The bare loop neither times its steps nor looks whether the loss is finite. `--clock cpu` counts
the time this process had on a core, for a look at a machine that is not idle.
"""

from __future__ import annotations

import copy
import logging
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from _common import Reading, arguments, default_cells, publish

from quintain.compose.bind import instantiate
from quintain.compose.build import Model, build_dataset, build_model
from quintain.contracts import Dataset
from quintain.run.budget import Budget
from quintain.run.clocks import Clocks
from quintain.run.execute import _chunk, make_trainer
from quintain.run.feed import Order, TrainFeed
from quintain.run.optimize import Recipe
from quintain.run.task import Task

LONG = 5.0  # ms; where a step takes longer than this, LIMIT_LONG holds
LIMIT_LONG, LIMIT_SMALLEST = 0.03, 0.25
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Importing Lightning sets it; without a GPU it makes every step of torch's Adam 75 µs slower."""


def main() -> None:
    asked = arguments(__doc__, n=7, steps=300, cells="all", deterministic=1, clock="wall")
    Arms.now = time.process_time if asked.clock == "cpu" else time.perf_counter
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    wanted = asked.cells.split()
    found = {
        f"{cell.names['dataset']}/{cell.names['model']}": Arms(cell, bool(asked.deterministic))
        for cell in default_cells(f"budget.steps={asked.steps}")
        if "all" in wanted or f"{cell.names['dataset']}/{cell.names['model']}" in wanted
    }
    taxes = {name: measure(arms, asked.n, asked.steps) for name, arms in found.items()}
    smallest = min(taxes, key=lambda name: taxes[name]["ms"])
    readings = []
    for name, tax in sorted(taxes.items(), key=lambda item: item[1]["ms"]):
        limit = LIMIT_LONG if tax["ms"] >= LONG else LIMIT_SMALLEST if name == smallest else None
        note = f"{tax['ms']:.3g} ms a step in the bare loop"
        readings.append(Reading(f"{name}, loop", "", tax["loop"], limit, note=note))
        readings.append(Reading(f"{name}, fit", "", tax["fit"], limit))
    publish("harness_tax", readings, asked.out)


class Arms:
    """The two ways to train one cell."""

    now: Callable[[], float]

    def __init__(self, cell: Any, deterministic: bool) -> None:
        self.cell, self.deterministic = cell, deterministic
        self.budget: Budget = instantiate(cell.config["budget"])
        self.recipe: Recipe = instantiate(cell.config["optimizer"])
        self.dataset: Dataset = build_dataset(cell.config)
        self.dataset.prepare_data()
        self.dataset.setup("fit")
        torch.manual_seed(cell.seed)
        self.model = build_model(cell.config, self.dataset.spec, cell.width)

    def order(self) -> Order:
        return Order(self.dataset.size("train"), self.budget.batch_size, self.cell.seed)

    def bare(self) -> float:
        """Seconds of the bare loop."""
        torch.use_deterministic_algorithms(self.deterministic, warn_only=True)
        model = copy.deepcopy(self.model).train()
        optimizer, order = self.recipe.build(model), self.order()
        lightnings = os.environ.pop(NVML_CHECK, None)
        began = Arms.now()
        bare_loop(model, self.dataset, order, optimizer, self.recipe, self.budget.steps)
        seconds = Arms.now() - began
        if lightnings is not None:
            os.environ[NVML_CHECK] = lightnings
        return seconds

    def harness(self) -> tuple[float, float]:
        """Seconds of the loop, and of the whole fit."""
        task = TimedTask(
            copy.deepcopy(self.model),
            self.recipe,
            self.dataset,
            steps=self.budget.steps,
            clocks=Clocks(),
        )
        feed = TrainFeed(
            self.dataset, self.order(), steps=self.budget.steps, chunk=_chunk(self.budget)
        )
        hardware = instantiate(self.cell.config["hardware"])
        trainer = make_trainer(hardware.trainer_arguments(), feed, self.budget)
        began = Arms.now()
        trainer.fit(task, train_dataloaders=feed)
        return task.ended - task.began, Arms.now() - began


class TimedTask(Task):
    """Notes when the loop begins and ends."""

    began = ended = 0.0

    def on_train_start(self) -> None:
        self.began = Arms.now()

    def on_train_end(self) -> None:
        self.ended = Arms.now()


def bare_loop(
    model: Model,
    dataset: Dataset,
    order: Order,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    steps: int,
) -> None:
    """What one would write by hand."""
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps)
        batch = dataset.take("train", order(step))
        optimizer.zero_grad()
        loss = model.head.loss(model(batch), batch)
        loss.backward()
        if recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()


def measure(arms: Arms, rounds: int, steps: int) -> dict[str, Any]:
    """Shares that loop and fit take above the bare loop, a value a round, and ms a bare step."""
    arms.bare(), arms.harness()
    bares, loops, fits = [], [], []
    for k in range(rounds):
        if k % 2:
            loop, fit = arms.harness()
            bare = arms.bare()
        else:
            bare = arms.bare()
            loop, fit = arms.harness()
        bares.append(bare)
        loops.append(loop / bare - 1)
        fits.append(fit / bare - 1)
    return {"loop": loops, "fit": fits, "ms": sorted(bares)[rounds // 2] / steps * 1e3}


if __name__ == "__main__":
    main()
