"""Lightning callbacks of a run: checkpoints, curve, best weights, progress and clocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer

from quintain.errors import CheckpointMismatch, Interrupted
from quintain.run.clocks import PhaseClocks
from quintain.run.train.checkpoint import Checkpointer, Stage, State, summarize
from quintain.run.train.history import ValidationPoint, is_better
from quintain.run.train.module import TrainingModule
from quintain.run.train.train_state import (
    get_rng_state,
    load_device_state,
    local_state_dict,
    state_dict,
)


class CheckpointCallback(Callback):
    """Saves the run between two chunks, and ends it when it has been preempted.

    Args:
        checkpointer: writes the checkpoints.
        clocks: saving counts as "logging", not as training.
        measurements: returns further values to save: those equal on all ranks, and those of this
            rank.
        resumed_from: the state with which the module was built; None: the run starts at step 0.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        clocks: PhaseClocks,
        measurements: Callable[[], tuple[State, State]],
        resumed_from: State | None = None,
    ) -> None:
        self._checkpointer, self._clocks = checkpointer, clocks
        self._measurements, self._resumed_from = measurements, resumed_from
        self._saved: tuple[int, Stage] = (0, "training")
        if resumed_from is not None:
            self._saved = (resumed_from["steps"], resumed_from["stage"])
        self._validation_rng: State = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._checkpointer.install_signal_handlers()
        self._checkpointer.arm()
        if self._resumed_from is not None:
            try:
                load_device_state(_cast(module), trainer.optimizers[0], self._resumed_from)
            except Exception as error:
                raise CheckpointMismatch(summarize(error)) from error

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # An empty chunk precedes a validation that was interrupted; its state is saved already.
        if batch and self._checkpointer.should_save():
            self._save(trainer, module, "training", get_rng_state())

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._checkpointer.install_signal_handlers()
        self._validation_rng = get_rng_state()

    def on_validation_batch_start(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if self._checkpointer.is_preempted():
            self._save(trainer, module, "validating", self._validation_rng)

    def on_test_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._checkpointer.install_signal_handlers()

    def on_test_batch_start(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if self._checkpointer.is_preempted():
            self._save(trainer, module, "over", {})

    def _save(self, trainer: Trainer, module: LightningModule, stage: Stage, rng: State) -> None:
        """Write a checkpoint unless it exists; raise Interrupted if the run was preempted."""
        training = _cast(module)
        phase = self._clocks.switch("logging")
        if self._saved != (training.steps_done, stage):
            shared, local = self._measurements()
            shared |= state_dict(training, trainer.optimizers[0])
            shared |= {"stage": stage, "seconds": self._clocks.read_all()}
            local |= local_state_dict(training) | {"rng": rng}
            self._checkpointer.save(training.steps_done, shared, local)
            self._saved = (training.steps_done, stage)
        if self._checkpointer.is_preempted():
            raise Interrupted
        self._clocks.switch(phase)


class CurveRecorder(Callback):
    """Appends each validation to the history, and copies the weights of the best one."""

    def __init__(self, clocks: PhaseClocks) -> None:
        self._clocks = clocks

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        training = _cast(module)
        history, seconds = training.history, self._clocks.read("training")
        point = ValidationPoint(
            training.steps_done, seconds, training.train_loss, dict(training.scores)
        )
        history.curve.append(point)
        if is_better(point, history.best, training.model.head.scores):
            history.best = point
            weights = training.eval_model.state_dict()
            history.best_weights = {name: value.clone() for name, value in weights.items()}


class ProgressReporter(Callback):
    """Calls `report` with the optimizer steps done, after each chunk and each evaluated batch."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        self._report(_cast(module).steps_done)

    on_validation_batch_end = on_test_batch_end = on_train_batch_end  # type: ignore[assignment]


class PhaseSwitcher(Callback):
    """Switches the clocks between training, validation and the rest.

    It must be the last callback: training begins when Lightning and all callbacks are ready.
    """

    def __init__(self, clocks: PhaseClocks, synchronize: Callable[[], None]) -> None:
        self._clocks, self._synchronize = clocks, synchronize

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._clocks.switch("training")

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._interrupted_phase = self._clocks.switch("validation")

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._clocks.switch(self._interrupted_phase)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._synchronize()
        self._clocks.switch("setup")


def _cast(module: LightningModule) -> TrainingModule:
    return cast("TrainingModule", module)
