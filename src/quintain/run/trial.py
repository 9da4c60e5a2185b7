"""A trial of a search: it trains and validates like any run, and never reads the test split."""

from __future__ import annotations

from typing import Any, cast

import pytorch_lightning as pl
from torch import Tensor

from quintain.contracts import Batch, Dataset, Split
from quintain.records.schema import Record
from quintain.run.context import RunContext, TrainResult
from quintain.run.optuna_storage import TrialJournal
from quintain.run.record import builder
from quintain.run.train.module import TrainingModule

NO_FINGERPRINT = "not computed: a trial does not read the test split"
NOT_MEASURED = "a trial is trained and validated, not measured"


class _WithoutTestSplit:
    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def batch(self, split: Split, indices: Tensor) -> Batch:
        _refuse_test(split)
        return self._dataset.batch(split, indices)

    def lengths(self, split: Split) -> Tensor | None:
        _refuse_test(split)
        return self._dataset.lengths(split)

    def fingerprint(self) -> str:
        return NO_FINGERPRINT  # a fingerprint covers all splits


def without_test_split(dataset: Dataset) -> Dataset:
    """Return the dataset with a test split of which only the size can be read."""
    return cast("Dataset", _WithoutTestSplit(dataset))


def _refuse_test(split: Split) -> None:
    if split == "test":
        raise AssertionError("a trial must not read the test split")


class TrialCallback(pl.Callback):
    """Reports each validation to the study, and stops training when the study prunes the trial.

    It must follow `CurveRecorder` in the Trainer's callbacks.

    Args:
        trial: `Cell.trial`.
        steps: optimizer steps of a trial that is not pruned.
    """

    def __init__(self, trial: dict[str, Any], steps: int) -> None:
        self.is_pruned = False
        self._journal = TrialJournal(trial, steps)
        self._steps = steps

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        training = cast("TrainingModule", module)
        if not trainer.is_global_zero:
            return
        point = training.history.curve[-1]
        main_score = training.model.head.scores[0].name
        self._journal.report(point.step, point.scores[main_score])
        # One of several ranks must not stop while the others continue.
        may_stop = point.step < self._steps and trainer.world_size == 1
        if may_stop and self._journal.should_prune():
            self.is_pruned = trainer.should_stop = True


def build_trial_record(context: RunContext, result: TrainResult) -> Record:
    """Return the record of a trial, with its scores on validation and its cost."""
    trial = context.cell.trial
    assert trial is not None
    absent = dict.fromkeys(("flops_per_sample", "mfu", "data_wait_share"), NOT_MEASURED)
    cost = builder.build_training_cost(context, result) | {"absent": absent}
    return builder.build_record(
        context,
        result,
        trial={
            "study": trial["study"],
            "number": trial["number"],
            "pruned": result.is_pruned,
        },
        quality=builder.build_training_quality(result),
        cost=builder.add_readings(cost, context, builder.merge_readings(result)),
    )
