"""Overhead of Quintain and Lightning per training step, relative to a bare PyTorch loop.

Both have the same model and initial weights, batches, order, optimizer and learning rates, and run
alternately in one process on one thread. *Loop* is from the first batch to the last step; *fit* is
the whole `Trainer.fit` with Lightning's setup and teardown. There is no validation. The bare loop
neither times its steps nor checks that the loss is finite. `--clock cpu` measures the CPU time of
this process, for machines that are not idle.
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
from _common import Reading, parse_arguments, plan_quick_suite, write_results

from quintain.compose.instantiate import instantiate
from quintain.contracts import Dataset
from quintain.model import Model, build_dataset, build_model
from quintain.run.budget import Budget
from quintain.run.train.loaders import BatchOrder, TrainLoader
from quintain.run.train.module import TrainingModule
from quintain.run.train.optimizer import OptimizerConfig
from quintain.run.train.trainer import make_trainer
from quintain.run.training import choose_chunk

LONG_STEP = 5.0  # ms; cells with longer steps must meet LIMIT_LONG
LIMIT_LONG, LIMIT_FASTEST = 0.03, 0.25
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Importing Lightning sets this variable, which slows torch's Adam by 75 µs per step on the CPU."""


def main() -> None:
    options = parse_arguments(__doc__, n=7, steps=300, cells="all", deterministic=1, clock="wall")
    Loops.now = time.process_time if options.clock == "cpu" else time.perf_counter
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    names = options.cells.split()
    loops = {
        f"{cell.names['dataset']}/{cell.names['model']}": Loops(cell, bool(options.deterministic))
        for cell in plan_quick_suite(f"budget.steps={options.steps}")
        if "all" in names or f"{cell.names['dataset']}/{cell.names['model']}" in names
    }
    overheads = {name: measure(pair, options.n, options.steps) for name, pair in loops.items()}
    fastest = min(overheads, key=lambda name: overheads[name]["ms"])
    readings = []
    for name, overhead in sorted(overheads.items(), key=lambda item: item[1]["ms"]):
        limit = LIMIT_FASTEST if name == fastest else None
        limit = LIMIT_LONG if overhead["ms"] >= LONG_STEP else limit
        note = f"{overhead['ms']:.3g} ms a step in the bare loop"
        readings.append(Reading(f"{name}, loop", "", overhead["loop"], limit, note=note))
        readings.append(Reading(f"{name}, fit", "", overhead["fit"], limit))
    write_results("harness_overhead", readings, options.out)


class Loops:
    """The two loops that train one cell."""

    now: Callable[[], float]

    def __init__(self, cell: Any, deterministic: bool) -> None:
        self.cell, self.deterministic = cell, deterministic
        self.budget: Budget = instantiate(cell.config["budget"])
        self.optimizer_config: OptimizerConfig = instantiate(cell.config["optimizer"])
        self.dataset: Dataset = build_dataset(cell.config)
        self.dataset.prepare_data()
        self.dataset.setup("fit")
        torch.manual_seed(cell.seed)
        self.model = build_model(cell.config, self.dataset.spec, cell.width)

    def order(self) -> BatchOrder:
        return BatchOrder(self.dataset.size("train"), self.budget.batch_size, self.cell.seed)

    def run_bare(self) -> float:
        """Return the seconds of the bare loop."""
        torch.use_deterministic_algorithms(self.deterministic, warn_only=True)
        model = copy.deepcopy(self.model).train()
        optimizer, order = self.optimizer_config.build(model), self.order()
        nvml_check = os.environ.pop(NVML_CHECK, None)
        began = Loops.now()
        train_bare(model, self.dataset, order, optimizer, self.optimizer_config, self.budget.steps)
        seconds = Loops.now() - began
        if nvml_check is not None:
            os.environ[NVML_CHECK] = nvml_check
        return seconds

    def run_harness(self) -> tuple[float, float]:
        """Return the seconds of the loop, and of the whole fit."""
        module = TimedModule(
            copy.deepcopy(self.model),
            self.optimizer_config,
            self.dataset,
            steps=self.budget.steps,
        )
        loader = TrainLoader(
            self.dataset, self.order(), steps=self.budget.steps, chunk=choose_chunk(self.budget)
        )
        hardware = instantiate(self.cell.config["hardware"])
        trainer = make_trainer(hardware.trainer_arguments(), loader, self.budget)
        began = Loops.now()
        trainer.fit(module, train_dataloaders=loader)
        return module.ended - module.began, Loops.now() - began


class TimedModule(TrainingModule):
    """Records when the loop begins and ends."""

    began = ended = 0.0

    def on_train_start(self) -> None:
        self.began = Loops.now()

    def on_train_end(self) -> None:
        self.ended = Loops.now()


def train_bare(
    model: Model,
    dataset: Dataset,
    order: BatchOrder,
    optimizer: torch.optim.Optimizer,
    config: OptimizerConfig,
    steps: int,
) -> None:
    """Train as a hand-written loop does."""
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate(step, steps)
        batch = dataset.batch("train", order(step))
        optimizer.zero_grad()
        loss = model.head.loss(model(batch), batch)
        loss.backward()
        if config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()


def measure(pair: Loops, rounds: int, steps: int) -> dict[str, Any]:
    """Return the relative overhead of loop and fit in each round, and ms of a bare step."""
    pair.run_bare(), pair.run_harness()
    bares, loops, fits = [], [], []
    for k in range(rounds):
        if k % 2:
            loop, fit = pair.run_harness()
            bare = pair.run_bare()
        else:
            bare = pair.run_bare()
            loop, fit = pair.run_harness()
        bares.append(bare)
        loops.append(loop / bare - 1)
        fits.append(fit / bare - 1)
    return {"loop": loops, "fit": fits, "ms": sorted(bares)[rounds // 2] / steps * 1e3}


if __name__ == "__main__":
    main()
