"""Trains the model of a cell, selects its best weights on validation, and tests them once."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytorch_lightning as pl

from quintain.compose.instantiate import instantiate
from quintain.contracts import Meter, OptionalMeterAttributes
from quintain.errors import CheckpointMismatch, NonFiniteScore
from quintain.model import build_model, check_transcripts, choose_width
from quintain.run.budget import Budget
from quintain.run.context import RunContext, TrainResult
from quintain.run.distributed.rank_stats import RankReport
from quintain.run.log_filters import collect_warnings
from quintain.run.measure.compile_timer import CompileTimer
from quintain.run.measure.readings import add_earlier_readings, read_meters
from quintain.run.train import callbacks as cb
from quintain.run.train.checkpoint import State, summarize
from quintain.run.train.loaders import BatchOrder, EvalLoader, TrainLoader
from quintain.run.train.module import TrainingModule
from quintain.run.train.optimizer import OptimizerConfig
from quintain.run.train.step_timing import TimeLimit
from quintain.run.train.train_state import load_state_dict
from quintain.run.train.trainer import make_trainer
from quintain.run.trial import TrialCallback

CHUNK = 20  # largest number of optimizer steps in a Lightning step; see run.train.loaders


@dataclass(frozen=True, kw_only=True)
class _Setup:
    """The objects that a run builds, and the state from which it resumes; None for a new run."""

    module: TrainingModule
    loader: TrainLoader
    budget: Budget
    width: float | None
    meters: Sequence[Meter]
    notes: tuple[str, ...]
    state: State | None

    @property
    def num_resumes(self) -> int:
        """How often the run was resumed."""
        return 0 if self.state is None else self.state["resumed"] + 1


def train_and_test(context: RunContext) -> TrainResult:
    """Train a model, load its best weights and, unless the run is a trial, test them.

    All ranks must call it. A checkpoint that does not fit is discarded, and training starts again
    from step 0.
    """
    state = context.checkpointer.load()
    if state is not None:
        try:
            return _train_and_test(context, state)
        except CheckpointMismatch as error:
            context.checkpointer.discard(f"it does not fit ({error})")
            context.clocks.add({phase: -seconds for phase, seconds in state["seconds"].items()})
    return _train_and_test(context, None)


def _train_and_test(context: RunContext, state: State | None) -> TrainResult:
    setup = _set_up(context, state)
    module, trial = setup.module, None
    callbacks = _build_callbacks(context, setup)
    if context.cell.trial is not None:
        trial = TrialCallback(context.cell.trial, setup.budget.steps)
        callbacks.append(trial)
    callbacks.append(cb.PhaseSwitcher(context.clocks, context.hardware.synchronize))
    arguments = context.hardware.trainer_arguments()
    trainer = make_trainer(arguments, setup.loader, setup.budget, context.dist, callbacks)
    for meter in setup.meters:
        meter.start()
    nondeterminism_warning, cpu_share, compile_seconds = fit(context, trainer, module, setup.loader)
    is_pruned = trial is not None and trial.is_pruned
    notes = _check_training(module, setup.budget, is_pruned)
    for meter in setup.meters:
        meter.stop()
    if trial is None:
        _test(context, trainer, module)
    reports = context.dist.all_gather(_report_rank(context, setup))
    if not context.dist.is_single:
        context.dist.destroy()
    return TrainResult(
        module=module,
        trainer=trainer,
        budget=setup.budget,
        width=setup.width,
        reports=reports,
        started=state["started"] if state else context.started,
        num_resumes=setup.num_resumes,
        resume_step=state["steps"] if state else None,
        nondeterminism_warning=nondeterminism_warning,
        cpu_share=cpu_share,
        compile_seconds=compile_seconds,
        is_pruned=is_pruned,
        notes=setup.notes + notes,
    )


def _set_up(context: RunContext, state: State | None) -> _Setup:
    """Build the module and its loader, and load a state into them.

    Raises:
        CheckpointMismatch: the state does not fit them.
    """
    if state is not None:
        context.clocks.add(state["seconds"])
    budget = cast("Budget", instantiate(context.cell.config["budget"]))
    module, width = _build_module(context, budget)
    notes = check_transcripts(module.model, context.dataset)
    order, order_notes = _order_batches(context, budget)
    try:
        loader = _build_loader(context, order, budget, state)
        if state is not None:
            load_state_dict(module, state)
    except Exception as error:
        raise CheckpointMismatch(summarize(error)) from error
    return _Setup(
        module=module,
        loader=loader,
        budget=budget,
        width=width,
        meters=context.hardware.meters(),
        notes=notes + order_notes,
        state=state,
    )


def _build_module(context: RunContext, budget: Budget) -> tuple[TrainingModule, float | None]:
    """Return the module with initialised weights, and the width of its core."""
    config, dataset = context.cell.config, context.dataset
    width = context.cell.width
    if width is None and (solved := choose_width(config, dataset.spec)) is not None:
        width = solved.width
    pl.seed_everything(context.cell.seed, workers=True, verbose=False)
    model = build_model(config, dataset.spec, width)
    module = TrainingModule(
        model,
        cast("OptimizerConfig", instantiate(config["optimizer"])),
        dataset,
        steps=budget.steps,
        dist=context.dist,
        seed=context.cell.seed,
        eval_model=copy.deepcopy(model) if context.is_sharded else None,
        synchronize=context.hardware.synchronize,
        times_each_step=context.accelerator == "cpu",
        read_seconds=lambda: context.clocks.read("training"),
        time_limit=TimeLimit(context.clocks, budget.seconds, context.dist),
        hyperparameters=config,
    )
    return module, width


def _order_batches(context: RunContext, budget: Budget) -> tuple[BatchOrder, tuple[str, ...]]:
    """Return the order of batches, and a note if grouping by length has no effect."""
    dataset, pool = context.dataset, budget.group_by_length
    lengths = dataset.lengths("train") if pool > 1 else None
    size = dataset.size("train")
    order = BatchOrder(size, budget.batch_size, context.cell.seed, lengths, pool)
    if pool == 1 or order.is_grouped:
        return order, ()
    reason = "all samples have one length" if lengths is None else "there is nothing to sort"
    return order, (f"budget.group_by_length={pool} has no effect: {reason}",)


def _build_loader(
    context: RunContext, order: BatchOrder, budget: Budget, state: State | None
) -> TrainLoader:
    position: dict[str, Any] = {}
    if state is not None:
        position = {"steps_done": state["steps"], "stage": state["stage"]}
        position["wait_seconds"] = state["waited"]
    return TrainLoader(
        context.dataset,
        order,
        steps=budget.steps,
        chunk=choose_chunk(budget),
        validations=budget.validations,
        dist=context.dist,
        **position,
    )


def _build_callbacks(context: RunContext, setup: _Setup) -> list[pl.Callback]:
    state, steps = setup.state, setup.budget.steps
    started = state["started"] if state else context.started

    def measurements() -> tuple[State, State]:
        report = _report_rank(context, setup)
        shared = {"started": started, "resumed": setup.num_resumes}
        return shared, {"waited": report.input_seconds, "readings": report.readings}

    return [
        cb.CheckpointCallback(context.checkpointer, context.clocks, measurements, state),
        cb.CurveRecorder(context.clocks),
        cb.ProgressReporter(lambda step: context.report_progress(step, steps)),
    ]


def _report_rank(context: RunContext, setup: _Setup) -> RankReport:
    """Return the measurements of this rank, including those before interruptions."""
    history, meters = setup.module.history, setup.meters
    readings = read_meters(meters)
    if setup.state is not None:
        readings = add_earlier_readings(readings, setup.state["readings"])
    # Only DDP's all-reduce on a CPU can be timed separately from computing.
    is_timed = context.accelerator == "cpu" and not context.is_sharded
    default = OptionalMeterAttributes.whole_machine
    return RankReport(
        step_ms=list(history.step_ms),
        all_reduce_ms=list(history.all_reduce_ms) if is_timed else [],
        input_seconds=setup.loader.wait_seconds,
        readings=readings,
        whole_machine=[m.name for m in meters if getattr(m, "whole_machine", default)],
    )


def fit(
    context: RunContext, trainer: pl.Trainer, module: TrainingModule, loader: TrainLoader
) -> tuple[str, float, float]:
    """Train, and validate once more if the last steps were not validated.

    Returns:
        The first warning about a nondeterministic operation, or "", CPU time over wall time, and
        the seconds in which torch compiled parts of the model, which neither time includes.
    """
    validation = EvalLoader(context.dataset, "val", dist=context.dist)
    start, cpu_start = time.perf_counter(), time.process_time()
    with (
        collect_warnings("deterministic") as warnings,
        CompileTimer(context.clocks) as compiling,
    ):
        trainer.fit(module, train_dataloaders=loader, val_dataloaders=validation)
        curve = module.history.curve
        if not curve or curve[-1].step < module.steps_done:
            trainer.validate(module, validation, verbose=False)
    cpu_seconds = time.process_time() - cpu_start - compiling.cpu_seconds
    cpu_share = cpu_seconds / (time.perf_counter() - start - compiling.seconds)
    return next(iter(warnings), ""), cpu_share, compiling.seconds


def _test(context: RunContext, trainer: pl.Trainer, module: TrainingModule) -> None:
    """Test the weights of the best validation."""
    context.clocks.switch("test")
    module.load_best_weights()
    with CompileTimer(context.clocks):
        test_loader = EvalLoader(context.dataset, "test", dist=context.dist)
        trainer.test(module, test_loader, verbose=False)


def _check_training(module: TrainingModule, budget: Budget, is_pruned: bool) -> tuple[str, ...]:
    """Check that training took its steps and has a best validation; return a note if it was short.

    Raises:
        NonFiniteScore: no validation has a finite main score.
        RuntimeError: training ended early, and nothing that may end it did.
    """
    steps, limit = module.steps_done, module.time_limit
    is_short = steps < budget.steps and not is_pruned
    if is_short and (limit is None or not limit.is_reached()):
        raise RuntimeError(
            f"training ended after {steps} of {budget.steps} steps, but neither budget.seconds nor"
            " a search has ended it"
        )
    if module.history.best is None:
        name = module.model.head.scores[0].name
        reason = f"the last {name} is {module.scores[name]}"
        if module.counts is not None and module.counts.not_finite:
            reason = f"at the last one {module.counts.describe()}"
        raise NonFiniteScore(f"no validation has a finite score: {reason}")
    note = f"budget.seconds={budget.seconds} ended training after {steps} of {budget.steps} steps"
    return (note,) if is_short else ()


def choose_chunk(budget: Budget) -> int:
    """Return the steps of a chunk, few enough that validations are evenly distributed."""
    return max(1, min(CHUNK, budget.steps // budget.validations))
