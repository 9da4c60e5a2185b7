"""Data classes of a run: `RunContext` before training, `TrainResult` after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl

from quintain.contracts import Dataset, Hardware
from quintain.plan.cell import Cell
from quintain.run.budget import Budget
from quintain.run.clocks import PhaseClocks
from quintain.run.distributed.context import DistContext
from quintain.run.distributed.rank_stats import RankReport
from quintain.run.train.checkpoint import Checkpointer
from quintain.run.train.module import TrainingModule

ReportProgress = Callable[[int, int], None]
"""A function of the optimizer steps done so far and the total number of steps."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run whose data are loaded and whose ranks are connected, before training.

    Attributes:
        cell: configuration and seed of the run.
        hardware: the hardware plugin.
        dataset: after `setup`.
        clocks: started when the run began.
        started: UTC time at which the run began, as text (ISO 8601).
        dist: the ranks of the run.
        checkpointer: saves and loads the state of the run.
        is_sharded: whether the model is sharded over the ranks (FSDP).
        samples_folder: where test samples and their predictions are written; None: not written.
        report_progress: called after each chunk of steps and each evaluated batch.
    """

    cell: Cell
    hardware: Hardware
    dataset: Dataset
    clocks: PhaseClocks
    started: str
    dist: DistContext
    checkpointer: Checkpointer
    is_sharded: bool
    samples_folder: Path | None
    report_progress: ReportProgress

    @property
    def accelerator(self) -> str:
        """The Trainer's accelerator: cpu, cuda or mps."""
        return str(self.hardware.trainer_arguments()["accelerator"])


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A model that was trained and, unless the run is a trial of a search, tested.

    Attributes:
        module: the trained model; it has the best weights once it is tested.
        trainer: the Trainer that trained it.
        budget: the budget of the cell.
        width: width of the core; None for a core without one.
        reports: measurements of each rank.
        started: UTC time at which the run began, before any interruption.
        num_resumes: how often the run was resumed.
        resume_step: optimizer step at which it was resumed last; None: never.
        nondeterminism_warning: torch's first warning about a nondeterministic operation, or "".
        cpu_share: CPU time over wall time of training and validation.
        compile_seconds: seconds in which torch compiled parts of the model, not in `cpu_share`.
        is_pruned: whether a search stopped this trial early.
        notes: remarks about settings without effect.
    """

    module: TrainingModule
    trainer: pl.Trainer
    budget: Budget
    width: float | None
    reports: Sequence[RankReport]
    started: str
    num_resumes: int
    resume_step: int | None
    nondeterminism_warning: str
    cpu_share: float
    compile_seconds: float
    is_pruned: bool
    notes: tuple[str, ...]
