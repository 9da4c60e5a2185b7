"""Runs a cell in this process: trains, selects weights on validation, and tests them once."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch

from quintain.compose.data_hash import require_same_content
from quintain.compose.instantiate import instantiate
from quintain.contracts import Hardware, RankPlacement
from quintain.model import build_dataset
from quintain.plan.cell import Cell
from quintain.records.schema import Record, utc_now
from quintain.run.baseline import run_baseline
from quintain.run.clocks import PhaseClocks
from quintain.run.context import ReportProgress, RunContext
from quintain.run.distributed.context import DistContext
from quintain.run.distributed.distributed_checkpoint import DistributedCheckpointer
from quintain.run.distributed.spawn import join_ranks
from quintain.run.log_filters import filter_logs
from quintain.run.measure.profiling import TrainedModel
from quintain.run.record import builder
from quintain.run.record.samples import save_samples
from quintain.run.train.checkpoint import Checkpointer, FileCheckpointer
from quintain.run.training import train_and_test
from quintain.run.trial import build_trial_record, without_test_split


def run_cell(
    cell: Cell,
    report_progress: ReportProgress = lambda step, steps: None,
    samples_folder: Path | None = None,
    checkpointer: FileCheckpointer | None = None,
) -> Record:
    """Run a cell in this process and return its record; every error is raised.

    Args:
        cell: configuration and seed.
        report_progress: see `ReportProgress`.
        samples_folder: where test samples and their predictions are written; None: not written.
        checkpointer: saves the run's state and may hold that of an interrupted run; None: the run
            cannot be resumed.

    Raises:
        Interrupted: the run was preempted and can resume later.
    """
    hardware = build_hardware(cell)
    with filter_logs(), join_ranks(cell, hardware) as dist:
        context = prepare_run(cell, hardware, dist, checkpointer, samples_folder, report_progress)
        if cell.baseline:
            return run_baseline(context)
        result = train_and_test(context)
        if cell.trial is not None:
            return build_trial_record(context, result)
        model = result.module.model
        context.clocks.switch("measuring")
        trained = TrainedModel(model, result.trainer)
        record = builder.build_training_record(context, result, trained)
        save_samples(samples_folder, context.dataset, model.head, model.stem, trained.predict)
        return record


def run_worker_rank(cell: Cell, placement: RankPlacement | None = None) -> None:
    """Train and test with the other ranks, as a rank other than 0."""
    hardware = build_hardware(cell)
    with filter_logs(), join_ranks(cell, hardware, placement) as dist:
        if not dist.is_single:
            context = prepare_run(cell, hardware, dist)
            context.checkpointer.install_signal_handlers()
            train_and_test(context)


def build_hardware(cell: Cell) -> Hardware:
    """Return the hardware plugin of a cell."""
    return cast("Hardware", instantiate(cell.config["hardware"]))


def prepare_run(
    cell: Cell,
    hardware: Hardware,
    dist: DistContext,
    checkpointer: FileCheckpointer | None = None,
    samples_folder: Path | None = None,
    report_progress: ReportProgress = lambda step, steps: None,
) -> RunContext:
    """Seed, load the data, and connect the ranks; arguments as in `run_cell`."""
    started, clocks, arguments = utc_now(), PhaseClocks(), hardware.trainer_arguments()
    torch.set_num_threads(hardware.threads())
    pl.seed_everything(cell.seed, workers=True, verbose=False)
    dataset = build_dataset(cell.config)
    dist.run_once_per_machine(dataset.prepare_data)
    dataset.setup("fit")
    require_same_content(cell.config["dataset"])
    if cell.trial is not None:
        dataset = without_test_split(dataset)
    dist.connect(arguments["accelerator"])
    is_sharded = not dist.is_single and arguments["strategy"] == "fsdp"
    if dist.is_single:
        run_checkpointer = checkpointer or Checkpointer()
    else:
        run_checkpointer = DistributedCheckpointer(dist, checkpointer, writes=not is_sharded)
    return RunContext(
        cell=cell,
        hardware=hardware,
        dataset=dataset,
        clocks=clocks,
        started=started,
        dist=dist,
        checkpointer=run_checkpointer,
        is_sharded=is_sharded,
        samples_folder=samples_folder,
        report_progress=report_progress,
    )
