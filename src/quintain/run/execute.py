"""From a cell to a record: build, train, choose the weights on validation, read the test once."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from quintain.compose.bind import instantiate
from quintain.compose.build import build_dataset, build_model, choose_width
from quintain.compose.cells import Cell
from quintain.contracts import Dataset, Hardware, Meter
from quintain.kit.cluster import Place
from quintain.records.schema import Record, utc_now
from quintain.run import assemble
from quintain.run.budget import Budget
from quintain.run.checkpoint import Keeper, State, words
from quintain.run.clocks import Clocks
from quintain.run.crew import assembled
from quintain.run.feed import EvaluationFeed, Order, TrainFeed
from quintain.run.measure import Forward
from quintain.run.optimize import Recipe
from quintain.run.quiet import collecting, quiet
from quintain.run.ranks import ALONE, Ranks
from quintain.run.samples import keep_samples
from quintain.run.shared import SharedKeeper
from quintain.run.strategy import RankEnvironment, strategy
from quintain.run.task import Task, Unfit
from quintain.run.together import Report, merged, report
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
    keeper: Keeper | SharedKeeper | None = None
    hear: Callable[[], None] = lambda: None  # signals that ask the run to leave
    before: State | None = None  # what an interrupted run has left; see run.state
    ranks: Ranks = ALONE
    reports: list[Report] = field(default_factory=list)  # of several ranks


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
    hardware = hardware_of(cell)
    with quiet(), assembled(cell, hardware) as ranks:
        run = _prepare(cell, hardware, ranks)
        run.samples, run.keeper = samples, keeper if ranks.alone else _shared(run, keeper)
        run.hear = run.keeper.hear if run.keeper else run.hear
        if cell.reference:
            from quintain.run.reference import execute_reference

            return execute_reference(run)
        return _train(run, progress)


def _shared(run: Run, keeper: Keeper | None) -> SharedKeeper:
    return SharedKeeper(run.ranks, keeper, keeps=not _spread(run))


def _spread(run: Run) -> bool:
    """The ranks share one model between them."""
    return not run.ranks.alone and run.hardware.trainer_arguments()["strategy"] == "fsdp"


def hardware_of(cell: Cell) -> Hardware:
    """What a cell runs on."""
    return cast(Hardware, instantiate(cell.config["hardware"]))


def follow(cell: Cell, place: Place | None = None) -> None:
    """Do the part of a rank that is not 0: it trains and is tested with the others."""
    hardware = hardware_of(cell)
    with quiet(), assembled(cell, hardware, place) as ranks:
        if not ranks.alone:
            run = _prepare(cell, hardware, ranks)
            run.keeper = _shared(run, None)
            run.hear = run.keeper.hear
            run.hear()
            _learn(run, lambda step, steps: None)


def _prepare(cell: Cell, hardware: Hardware, ranks: Ranks) -> Run:
    started, clocks = utc_now(), Clocks()
    torch.set_num_threads(hardware.threads())
    pl.seed_everything(cell.seed, workers=True, verbose=False)
    dataset = build_dataset(cell.config)
    ranks.first(dataset.prepare_data)
    dataset.setup("fit")
    if cell.trial is not None:
        dataset = blind(dataset)
    ranks.connect(hardware.trainer_arguments()["accelerator"])
    return Run(
        cell=cell, hardware=hardware, dataset=dataset, clocks=clocks, started=started, ranks=ranks
    )


@dataclass
class Learned:
    """A model that was trained and tested, and what a record is made of."""

    task: Task
    trainer: pl.Trainer
    feed: TrainFeed
    budget: Budget
    width: float | None
    meters: list[Meter]


def _train(run: Run, progress: Progress) -> Record:
    done = _learn(run, progress)
    if run.cell.trial is not None:
        return tried(run, done.trainer, done.task, done.budget, done.width, done.meters)
    model = done.task.model
    run.clocks.switch("measuring")
    forward = Forward(model, done.trainer)
    record = assemble.trained(
        run, done.task, forward, done.feed, done.budget, done.width, done.meters
    )
    keep_samples(run.samples, run.dataset, model.head, model.stem, forward.answer)
    return record


def _learn(run: Run, progress: Progress) -> Learned:
    """Train, go back to the weights that were best on validation, and test them (not of a trial);
    on every rank.
    """
    hardware = run.hardware
    run.before = run.keeper.load() if run.keeper else None
    task, feed, budget, width = _made(run, progress)
    arguments = watched(run.cell, hardware.trainer_arguments(), budget.steps)
    trainer = make_trainer(arguments, feed, budget, run.ranks)
    meters = hardware.meters()
    for meter in meters:
        meter.start()
    _describe(run, task, feed, meters)
    try:
        run.nondeterministic = fit(run, trainer, task, feed)
    except Unfit as error:
        return _learn(_anew(run, error), progress)
    for meter in meters:
        meter.stop()
    if run.cell.trial is None:
        _test(run, trainer, task)
    if not run.ranks.alone:
        meters = _report(run, task, feed, meters)
    return Learned(task, trainer, feed, budget, width, meters)


def _describe(run: Run, task: Task, feed: TrainFeed, meters: list[Meter]) -> None:
    """Tell who keeps the run's state what to keep beside that of training."""
    if isinstance(run.keeper, SharedKeeper):
        run.keeper.report = lambda: _mine(run, task, feed, meters)
        run.keeper.about = lambda read: assemble.about(run, feed, read)
    elif run.keeper is not None:
        run.keeper.about = lambda: assemble.about(run, feed, meters)


def _test(run: Run, trainer: pl.Trainer, task: Task) -> None:
    run.clocks.switch("test")
    task.load_best()
    trainer.test(task, EvaluationFeed(run.dataset, "test", ranks=run.ranks), verbose=False)


def _made(run: Run, progress: Progress) -> tuple[Task, TrainFeed, Budget, float | None]:
    """Task, feed, budget and width; where an earlier run's state does not fit, all begins anew."""
    config, dataset = run.cell.config, run.dataset
    budget = cast(Budget, instantiate(config["budget"]))
    width = run.cell.width
    if width is None and (chosen := choose_width(config, dataset.spec)) is not None:
        width = chosen.width
    pl.seed_everything(run.cell.seed, workers=True, verbose=False)
    model = build_model(config, dataset.spec, width)
    task = Task(
        model,
        cast(Recipe, instantiate(config["optimizer"])),
        dataset,
        steps=budget.steps,
        clocks=run.clocks,
        seconds=budget.seconds,
        progress=lambda step: progress(step, budget.steps),
        synchronize=run.hardware.synchronize,
        each_step=run.hardware.trainer_arguments()["accelerator"] == "cpu",
        keeper=run.keeper,
        hear=run.hear,
        ranks=run.ranks,
        seed=run.cell.seed,
        judged=copy.deepcopy(model) if _spread(run) else None,
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
    if isinstance(error, Unfit):  # all else of that state had been put back, its seconds too
        assert run.before is not None
        run.clocks.add({phase: -seconds for phase, seconds in run.before["seconds"].items()})
    run.started = utc_now()
    run.before, run.notes = None, ()
    return run


def _report(run: Run, task: Task, feed: TrainFeed, meters: list[Meter]) -> list[Meter]:
    """Put together what the ranks measured; afterwards each goes its own way."""
    run.reports = run.ranks.gather(_mine(run, task, feed, meters))
    run.ranks.leave()
    return merged(run.reports)


def _mine(run: Run, task: Task, feed: TrainFeed, meters: list[Meter]) -> Report:
    """What this rank has measured so far; only DDP's all-reduce on the CPU can be told apart."""
    timed = run.hardware.trainer_arguments()["accelerator"] == "cpu" and not _spread(run)
    shared = task.trace.shared_ms if timed else []
    return report(list(task.trace.step_ms), list(shared), feed.seconds, meters)


def _feed(run: Run, budget: Budget) -> TrainFeed:
    """The batches of training; where grouping them by length does nothing, the run's notes say."""
    dataset, pool = run.dataset, budget.group_by_length
    lengths = dataset.lengths("train") if pool > 1 else None
    order = Order(dataset.size("train"), budget.batch_size, run.cell.seed, lengths, pool)
    if pool > 1 and not order.grouped:
        why = "all samples have one length" if lengths is None else "there is nothing to sort"
        run.notes += (f"budget.group_by_length={pool} has no effect: {why}",)
    return TrainFeed(
        dataset,
        order,
        steps=budget.steps,
        chunk=_chunk(budget),
        validations=budget.validations,
        ranks=run.ranks,
    )


def fit(run: Run, trainer: pl.Trainer, task: Task, feed: TrainFeed) -> str:
    """Train, and read validation once more where the last steps were not looked at.

    Gives the first warning of an operation that is not deterministic, or "".
    """
    validation = EvaluationFeed(run.dataset, "val", ranks=run.ranks)
    began, cpu = time.perf_counter(), time.process_time()
    with collecting("deterministic") as nondeterministic:
        trainer.fit(task, train_dataloaders=feed, val_dataloaders=validation)
        curve = task.trace.curve
        if not curve or curve[-1].step < task.steps_done:
            trainer.validate(task, validation, verbose=False)
    run.cpu_share = (time.process_time() - cpu) / (time.perf_counter() - began)
    return next(iter(nondeterministic), "")


def make_trainer(
    arguments: dict[str, Any], feed: TrainFeed, budget: Budget, ranks: Ranks = ALONE
) -> pl.Trainer:
    """Lightning's Trainer with everything off that costs time in each step."""
    every = max(1, feed.whole // min(budget.validations, budget.steps))
    if arguments["accelerator"] == "cpu":
        # Lightning sets it, and then each optimizer step opens NVML to ask for a GPU: 75 µs.
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    if not ranks.alone:
        made = strategy(arguments["strategy"], arguments["accelerator"], ranks)
        arguments = arguments | {"strategy": made}
    environment = LightningEnvironment() if ranks.alone else RankEnvironment(ranks)
    trainer = pl.Trainer(
        plugins=[environment],  # not Slurm's: each run is a process of its own
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
