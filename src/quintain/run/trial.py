"""A trial of a search: trains and validates as any run does, and never reads the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
from torch import Tensor

from quintain.compose.cells import Cell
from quintain.contracts import Batch, Dataset, Meter, Split
from quintain.kit.widths import count
from quintain.records.schema import Record, utc_now
from quintain.run import assemble
from quintain.run.budget import Budget
from quintain.run.journal import Journal
from quintain.run.task import Task

if TYPE_CHECKING:
    from quintain.run.execute import Run

UNREAD = "not read: a trial sees no test split"
UNMEASURED = "a trial is trained and validated, not measured"


class _Blind:
    """A dataset that gives nothing of its test split but its size; all else is the dataset's."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def take(self, split: Split, indices: Tensor) -> Batch:
        _refuse(split)
        return self._dataset.take(split, indices)

    def lengths(self, split: Split) -> Tensor | None:
        _refuse(split)
        return self._dataset.lengths(split)

    def fingerprint(self) -> str:
        return UNREAD  # it is of all splits


def blind(dataset: Dataset) -> Dataset:
    """The same dataset, its test split out of reach."""
    return cast(Dataset, _Blind(dataset))


def _refuse(split: Split) -> None:
    if split == "test":
        raise AssertionError("a trial must not read the test split")


class _Watch(pl.Callback):
    """Tells each validation to the study, and ends the training that the study gives up."""

    def __init__(self, trial: dict[str, Any], steps: int) -> None:
        self.pruned = False
        self._journal = Journal(trial, steps)
        self._steps = steps

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        task = cast(Task, module)
        if not trainer.is_global_zero:
            return
        point = task.trace.curve[-1]
        self._journal.tell(point.step, point.scores[task.model.head.scores[0].name])
        # One of several processes must not leave the others behind.
        if point.step < self._steps and trainer.world_size == 1 and self._journal.hopeless():
            self.pruned = trainer.should_stop = True


def watched(cell: Cell, arguments: dict[str, Any], steps: int) -> dict[str, Any]:
    """The Trainer's arguments; of a trial with what tells its scores to the study."""
    if cell.trial is None:
        return arguments
    return arguments | {"callbacks": [_Watch(cell.trial, steps)]}


def tried(
    run: Run,
    trainer: pl.Trainer,
    task: Task,
    budget: Budget,
    width: float | None,
    meters: list[Meter],
) -> Record:
    """The record of a trial: the best validation and what it took, nothing of the test split."""
    assert run.cell.trial is not None
    params, total = count(task.model)
    samples = task.steps_done * budget.batch_size
    seconds = run.clocks.read("training")
    cost = {
        "params": params,
        "params_total": total,
        "params_asked": budget.params,
        "width": width,
        "steps": task.steps_done,
        "samples": samples,
        "samples_per_second": samples / seconds if seconds > 0 else None,
        "absent": dict.fromkeys(("flops_per_sample", "mfu", "data_wait_share"), UNMEASURED),
    }
    pruned = any(watch.pruned for watch in _watches(trainer))
    own = {"study": run.cell.trial["study"], "number": run.cell.trial["number"], "pruned": pruned}
    return Record.model_validate(
        assemble.common(run, task.model.stem.reading)
        | {
            "trial": own,
            "quality": assemble.quality(task.trace, task.model.head.scores, budget),
            "cost": assemble.metered(cost, run, meters),
            "finished": utc_now(),
        }
    )


def _watches(trainer: pl.Trainer) -> list[_Watch]:
    callbacks = cast("list[pl.Callback]", trainer.callbacks)  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, _Watch)]
