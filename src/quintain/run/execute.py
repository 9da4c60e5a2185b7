"""From a cell to a record: build, train, choose the weights on validation, read the test once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from quintain.compose.bind import instantiate
from quintain.compose.build import build_dataset, build_model, choose_width
from quintain.compose.cells import Cell
from quintain.contracts import Dataset, Hardware
from quintain.records.schema import Record, utc_now
from quintain.run import assemble
from quintain.run.budget import Budget
from quintain.run.clocks import Clocks
from quintain.run.feed import EvaluationFeed, Order, TrainFeed
from quintain.run.measure import Forward
from quintain.run.optimize import Recipe
from quintain.run.quiet import collecting, quiet
from quintain.run.samples import keep_samples
from quintain.run.task import Task

CHUNK = 20  # optimizer steps in one Lightning step, see run.feed

Progress = Callable[[int, int], None]


@dataclass
class Run:
    """A run under way: what was built for a cell, and what has been measured."""

    cell: Cell
    hardware: Hardware
    dataset: Dataset
    clocks: Clocks
    started: str
    samples: Path | None = None
    cpu_share: float = 0.0
    nondeterministic: str = ""
    notes: tuple[str, ...] = ()


def execute(
    cell: Cell,
    progress: Progress = lambda step, steps: None,
    samples: Path | None = None,
) -> Record:
    """Run a cell in this process; whatever goes wrong is raised.

    Args:
        cell: what to run.
        progress: called with steps done and steps in all.
        samples: folder for a few test samples and what was said of them; None keeps none.
    """
    with quiet():
        run = _prepare(cell)
        run.samples = samples
        if cell.reference:
            from quintain.run.reference import execute_reference

            return execute_reference(run)
        return _train(run, progress)


def _prepare(cell: Cell) -> Run:
    started, clocks = utc_now(), Clocks()
    hardware = cast(Hardware, instantiate(cell.config["hardware"]))
    torch.set_num_threads(hardware.threads())
    pl.seed_everything(cell.seed, workers=True, verbose=False)
    dataset = build_dataset(cell.config)
    dataset.prepare_data()
    dataset.setup("fit")
    return Run(cell=cell, hardware=hardware, dataset=dataset, clocks=clocks, started=started)


def _train(run: Run, progress: Progress) -> Record:
    config, hardware, dataset = run.cell.config, run.hardware, run.dataset
    budget = cast(Budget, instantiate(config["budget"]))
    width = run.cell.width
    if width is None and (chosen := choose_width(config, dataset.spec)) is not None:
        width = chosen.width
    pl.seed_everything(run.cell.seed, workers=True, verbose=False)
    model = build_model(config, dataset.spec, width)
    arguments = hardware.trainer_arguments()
    task = Task(
        model,
        cast(Recipe, instantiate(config["optimizer"])),
        dataset,
        steps=budget.steps,
        clocks=run.clocks,
        seconds=budget.seconds,
        progress=lambda step: progress(step, budget.steps),
        synchronize=hardware.synchronize,
        each_step=arguments["accelerator"] == "cpu",
    )
    feed = _feed(run, budget)
    trainer = make_trainer(arguments, feed, budget)
    meters = hardware.meters()
    for meter in meters:
        meter.start()
    run.nondeterministic = fit(run, trainer, task, feed)
    for meter in meters:
        meter.stop()
    run.clocks.switch("test")
    task.load_best()
    trainer.test(task, EvaluationFeed(dataset, "test"), verbose=False)
    run.clocks.switch("measuring")
    forward = Forward(model, trainer)
    record = assemble.trained(run, task, forward, feed, budget, width, meters)
    keep_samples(run.samples, dataset, model.head, model.stem, forward.answer)
    return record


def _feed(run: Run, budget: Budget) -> TrainFeed:
    """The batches of training; where grouping them by length does nothing, the run's notes say."""
    dataset, pool = run.dataset, budget.group_by_length
    lengths = dataset.lengths("train") if pool > 1 else None
    order = Order(dataset.size("train"), budget.batch_size, run.cell.seed, lengths, pool)
    if pool > 1 and not order.grouped:
        why = "all samples have one length" if lengths is None else "there is nothing to sort"
        run.notes += (f"budget.group_by_length={pool} has no effect: {why}",)
    return TrainFeed(
        dataset, order, steps=budget.steps, chunk=_chunk(budget), validations=budget.validations
    )


def fit(run: Run, trainer: pl.Trainer, task: Task, feed: TrainFeed) -> str:
    """Train, and read validation once more where the last steps were not looked at.

    Gives the first warning of an operation that is not deterministic, or "".
    """
    validation = EvaluationFeed(run.dataset, "val")
    began, cpu = time.perf_counter(), time.process_time()
    with collecting("deterministic") as nondeterministic:
        trainer.fit(task, train_dataloaders=feed, val_dataloaders=validation)
        curve = task.trace.curve
        if not curve or curve[-1].step < task.steps_done:
            trainer.validate(task, validation, verbose=False)
    run.cpu_share = (time.process_time() - cpu) / (time.perf_counter() - began)
    return next(iter(nondeterministic), "")


def make_trainer(arguments: dict[str, Any], feed: TrainFeed, budget: Budget) -> pl.Trainer:
    """Lightning's Trainer with everything off that costs time in each step."""
    every = max(1, len(feed) // min(budget.validations, budget.steps))
    if arguments["accelerator"] == "cpu":
        # Lightning sets it, and then each optimizer step opens NVML to ask for a GPU: 75 µs.
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    return pl.Trainer(
        plugins=[LightningEnvironment()],  # not Slurm's: each run is a process of its own
        max_epochs=1,
        limit_train_batches=len(feed),
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        deterministic="warn",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **arguments,
    )


def _chunk(budget: Budget) -> int:
    """Small enough that validations can be spread evenly."""
    return max(1, min(CHUNK, budget.steps // budget.validations))
