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
from quintain.run.checkpoint import Keeper, State, words
from quintain.run.clocks import Clocks
from quintain.run.feed import EvaluationFeed, Order, TrainFeed
from quintain.run.measure import Forward
from quintain.run.optimize import Recipe
from quintain.run.quiet import collecting, quiet
from quintain.run.samples import keep_samples
from quintain.run.task import Task, Unfit
from quintain.run.trial import blind, tried, watched

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
    keeper: Keeper | None = None
    before: State | None = None  # what an interrupted run has left; see run.state


def execute(
    cell: Cell,
    progress: Progress = lambda step, steps: None,
    samples: Path | None = None,
    keeper: Keeper | None = None,
) -> Record:
    """Run a cell in this process; whatever goes wrong is raised.

    Args:
        cell: what to run.
        progress: called with steps done and steps in all.
        samples: folder for a few test samples and what was said of them; None keeps none.
        keeper: keeps the run's state while it trains, and may have that of an interrupted one.

    Raises:
        Interrupted: the run was asked to leave, and can go on later.
    """
    with quiet():
        run = _prepare(cell)
        run.samples, run.keeper = samples, keeper
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
    if cell.trial is not None:
        dataset = blind(dataset)
    return Run(cell=cell, hardware=hardware, dataset=dataset, clocks=clocks, started=started)


def _train(run: Run, progress: Progress) -> Record:
    hardware = run.hardware
    run.before = run.keeper.load() if run.keeper else None
    task, feed, budget, width = _made(run, progress)
    arguments = watched(run.cell, hardware.trainer_arguments(), budget.steps)
    trainer = make_trainer(arguments, feed, budget)
    meters = hardware.meters()
    for meter in meters:
        meter.start()
    if run.keeper is not None:
        run.keeper.about = lambda: assemble.about(run, feed, meters)
    try:
        run.nondeterministic = fit(run, trainer, task, feed)
    except Unfit as error:
        return _train(_anew(run, error), progress)
    for meter in meters:
        meter.stop()
    if run.cell.trial is not None:
        return tried(run, trainer, task, budget, width, meters)
    run.clocks.switch("test")
    task.load_best()
    trainer.test(task, EvaluationFeed(run.dataset, "test"), verbose=False)
    run.clocks.switch("measuring")
    forward = Forward(task.model, trainer)
    record = assemble.trained(run, task, forward, feed, budget, width, meters)
    keep_samples(run.samples, run.dataset, task.model.head, task.model.stem, forward.answer)
    return record


def _made(run: Run, progress: Progress) -> tuple[Task, TrainFeed, Budget, float | None]:
    """Task, feed, budget and width; where an earlier run's state does not fit, all begins anew."""
    config, dataset = run.cell.config, run.dataset
    budget = cast(Budget, instantiate(config["budget"]))
    width = run.cell.width
    if width is None and (chosen := choose_width(config, dataset.spec)) is not None:
        width = chosen.width
    pl.seed_everything(run.cell.seed, workers=True, verbose=False)
    task = Task(
        build_model(config, dataset.spec, width),
        cast(Recipe, instantiate(config["optimizer"])),
        dataset,
        steps=budget.steps,
        clocks=run.clocks,
        seconds=budget.seconds,
        progress=lambda step: progress(step, budget.steps),
        synchronize=run.hardware.synchronize,
        each_step=run.hardware.trainer_arguments()["accelerator"] == "cpu",
        keeper=run.keeper,
    )
    feed = _feed(run, budget)
    if run.before is not None:
        try:
            feed.go_on(run.before["steps"], run.before["stage"])
            feed.seconds, run.started = (run.before["about"][k] for k in ("waited", "started"))
            task.resume(run.before)
        except Exception as error:
            return _made(_anew(run, error), progress)
    return task, feed, budget, width


def _anew(run: Run, error: Exception) -> Run:
    """The run without the state that an earlier one has left, which does not fit."""
    assert run.keeper is not None
    run.keeper.refuse(f"it does not fit ({words(error)})")
    run.keeper.remove()
    run.before, run.notes = None, ()
    return run


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
    every = max(1, feed.whole // min(budget.validations, budget.steps))
    if arguments["accelerator"] == "cpu":
        # Lightning sets it, and then each optimizer step opens NVML to ask for a GPU: 75 µs.
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    trainer = pl.Trainer(
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
    # Lightning validates by its count of batches: a run that goes on has some behind it.
    trainer.fit_loop.epoch_loop.batch_progress.total.ready = feed.whole - len(feed)
    return trainer


def _chunk(budget: Budget) -> int:
    """Small enough that validations can be spread evenly."""
    return max(1, min(CHUNK, budget.steps // budget.validations))
