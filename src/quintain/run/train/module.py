"""The LightningModule that trains, validates and tests a stem, core and head."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from quintain.contracts import Batch, Dataset, Split
from quintain.errors import NonFiniteLoss
from quintain.model import Model
from quintain.run.distributed.context import SINGLE_PROCESS, DistContext
from quintain.run.distributed.fsdp import copy_weights, unshard
from quintain.run.distributed.metric_sync import sync_metrics
from quintain.run.measure.confusion import ConfusionMatrix
from quintain.run.train.evaluation import EvaluationCounter, EvaluationCounts, check_test_scores
from quintain.run.train.history import TrainingHistory
from quintain.run.train.micro_batching import MicroBatcher
from quintain.run.train.optimizer import OptimizerConfig
from quintain.run.train.step_timing import StepTimer, TimeLimit
from quintain.run.train.torch_messages import check_parameters_used, translate_training_error


class StopIterationGuard(AbstractContextManager[None]):
    """Turns StopIteration into RuntimeError, because Lightning takes it for the end of the data.

    A generator could not do this, see PEP 479.
    """

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, StopIteration):
            raise RuntimeError("the model or the dataset raised StopIteration") from error


class TrainingModule(pl.LightningModule):
    """Trains a `Model` with manual optimisation.

    One Lightning step takes a chunk of batches, with one optimizer step for each batch
    (docs/decisions/0002-chunks.md).

    Args:
        model: stem, core and head.
        optimizer_config: optimizer, learning-rate schedule and gradient clipping.
        dataset: after `setup`; the head's metrics may need it to decode tokens and targets.
        steps: optimizer steps of the whole run, which the learning-rate schedule needs.
        dist: the ranks that train together, each with its share of every batch.
        seed: from which each rank derives its own seed for dropout and augmentation.
        eval_model: an unsharded copy of a model that FSDP will shard, for evaluation.
        synchronize: waits until the device has finished all work.
        times_each_step: see `StepTimer`.
        read_seconds: see `StepTimer`.
        time_limit: stops training when it is reached; None: no limit.
        hyperparameters: the resolved configuration of the cell, for loggers.

    Attributes:
        history: curve, best weights and step times so far.
        steps_done: optimizer steps so far.
        losses: loss of each step since the last validation.
        scores: scores of the last validation or test, by name.
        counts: numbers of samples of the last validation or test.
        time_limit: the limit of the training time, None if there is none.
        train_loss: mean loss of the steps between the last two validations.
    """

    def __init__(
        self,
        model: Model,
        optimizer_config: OptimizerConfig,
        dataset: Dataset,
        *,
        steps: int,
        dist: DistContext = SINGLE_PROCESS,
        seed: int = 0,
        eval_model: Model | None = None,
        synchronize: Callable[[], None] = lambda: None,
        times_each_step: bool = True,
        read_seconds: Callable[[], float] = time.perf_counter,
        time_limit: TimeLimit | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(dict(hyperparameters or {}))
        self.automatic_optimization = False
        self.model, self.eval_model = model, eval_model or model
        self.optimizer_config = optimizer_config
        self.history = TrainingHistory()
        self.micro_batcher = MicroBatcher()
        self.steps_done = 0
        self.losses: list[Tensor] = []
        self.scores: dict[str, float] = {}
        self.train_loss = math.nan
        self._steps, self._dist, self._seed = steps, dist, seed
        self._timer = StepTimer(self.history, dist, synchronize, times_each_step, read_seconds)
        self.time_limit = time_limit
        self.counts: EvaluationCounts | None = None
        self._dataset = dataset
        self._counter = EvaluationCounter(dataset.spec)
        self._metrics = model.head.metrics(dataset)
        self._confusion = ConfusionMatrix(dataset.spec)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer_config.build(self.model)

    def on_fit_start(self) -> None:
        self._dist.seed_per_rank(self._seed)

    def training_step(self, chunk: list[Batch], batch_idx: int) -> None:
        """Take one optimizer step for each batch."""
        if not chunk:  # a resumed run repeats only the validation that was interrupted
            return
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        self._timer.start_chunk()
        losses, norms = [], []
        with StopIterationGuard():
            for batch, weight in zip(chunk, self._compute_loss_weights(chunk), strict=True):
                self._timer.start_step()
                loss, norm = self._take_step(batch, weight, optimizer)
                losses.append(loss)
                norms += [] if norm is None else [norm]
                self._timer.end_step()
                if self._is_time_up():
                    break
        self._timer.end_chunk()
        losses = self._average_over_ranks(losses)
        self._check_finite(losses, norms)
        self.losses += losses
        if self.trainer.loggers:
            self.log("train/loss", losses[-1])

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Stop training after the chunk in which the time limit is reached."""
        if self.time_limit is not None and self.time_limit.is_reached():
            self.trainer.should_stop = True

    def on_validation_epoch_start(self) -> None:
        if self.eval_model is not self.model:
            copy_weights(self.model, self.eval_model)
        self._reset_metrics()

    def validation_step(self, batch: Batch | None, batch_idx: int) -> None:
        """Add a batch to the metrics; None where this rank has no share of it."""
        with StopIterationGuard():
            self._update_metrics(batch)

    def on_validation_epoch_end(self) -> None:
        self.scores = self._compute_scores("val")
        self.train_loss = torch.stack(self.losses).mean().item() if self.losses else math.nan
        self.losses.clear()
        self.log("train/mean_loss", self.train_loss)
        self.log_dict({f"val/{name}": value for name, value in self.scores.items()})

    def on_test_epoch_start(self) -> None:
        self._reset_metrics()

    def test_step(self, batch: Batch | None, batch_idx: int) -> None:
        """Add a batch to the metrics and the confusion matrix."""
        with StopIterationGuard():
            self._update_metrics(batch, self._confusion)

    def on_test_epoch_end(self) -> None:
        self.scores = self._compute_scores("test")
        assert self.counts is not None
        check_test_scores(self.scores, self.model.head.scores[0], self.counts)
        self.history.test = self.scores
        self.history.confusion = self._confusion.compute(self._dist)
        self.log_dict({f"test/{name}": value for name, value in self.scores.items()})

    def load_best_weights(self) -> None:
        """Load the weights of the best validation into the unsharded model."""
        self.model = self.eval_model
        self.model.load_state_dict(self.history.best_weights)

    def _take_step(
        self, batch: Batch, weight: float, optimizer: torch.optim.Optimizer
    ) -> tuple[Tensor, Tensor | None]:
        """Take an optimizer step.

        Returns:
            The loss on this rank, and the norm of the gradient before it is clipped, or None where
            it is not clipped.
        """
        rate = self.optimizer_config.learning_rate(self.steps_done, self._steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        try:
            loss = self._compute_gradients(batch, weight, optimizer)
        except (RuntimeError, ValueError) as error:
            if clear := translate_training_error(error, self.model, batch, self._dist):
                raise clear from error
            raise
        norm, clip_norm = None, self.optimizer_config.clip_norm
        if clip_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
            norm = norm if self.eval_model is self.model else unshard(norm)
        optimizer.step()
        self.steps_done += 1
        return loss, norm

    def _compute_gradients(
        self, batch: Batch, weight: float, optimizer: torch.optim.Optimizer
    ) -> Tensor:
        """Add the gradients of `weight` times the loss of a batch, and return the loss."""
        # With several ranks a batch cannot be split when memory runs out on one of them, because
        # the others do not wait.
        if self._dist.is_single:
            return self.micro_batcher.compute_gradients(
                self.model, batch, self._backward, optimizer.zero_grad
            )
        prediction = self.model(batch)
        loss = self.model.head.loss(prediction, batch)
        # A share of the batch without targets has weight 0, and its mean loss would be NaN.
        loss = loss * weight if weight else 0 * prediction.sum()
        self._backward(loss)
        if self.eval_model is self.model:
            check_parameters_used(self.model, self._dist, self.steps_done + 1)
        return loss.detach()

    def _backward(self, loss: Tensor) -> None:
        # Lightning's `manual_backward` costs 40 µs, and no precision here needs it to scale losses.
        if isinstance(self.trainer.strategy, SingleDeviceStrategy):
            torch.autograd.backward(loss)
        else:
            self.manual_backward(loss)

    def _compute_loss_weights(self, chunk: Sequence[Batch]) -> list[float]:
        if self._dist.is_single:
            return [1.0] * len(chunk)
        return self._dist.loss_weights([self.model.head.num_targets(batch) for batch in chunk])

    def _is_time_up(self) -> bool:
        """Whether to end the chunk; on a GPU the time is known only at the end of a chunk."""
        if self.time_limit is None or not self._timer.times_each_step:
            return False
        return self.time_limit.is_reached()

    def _average_over_ranks(self, losses: list[Tensor]) -> list[Tensor]:
        if self._dist.is_single:
            return losses
        total = self._dist.sum(torch.stack(losses).cpu())
        return list((total / self._dist.world_size).unbind())

    def _check_finite(self, losses: Sequence[Tensor], norms: Sequence[Tensor]) -> None:
        """Raise NonFiniteLoss for the first step whose loss or gradient is NaN or infinite.

        Values are read once per chunk, because on a GPU each reading waits for the device. The norm
        is checked too, because a NaN in the gradient spoils the weights before the next loss.
        """
        device, count = losses[0].device, len(losses)
        values = torch.stack([*losses, *(norm.to(device) for norm in norms)]).tolist()
        bad = [(i % count, i // count) for i, v in enumerate(values) if not math.isfinite(v)]
        if bad:
            index, kind = min(bad)
            quantity = ("training loss", "norm of the gradient")[kind]
            raise NonFiniteLoss(
                f"the {quantity} is {values[kind * count + index]}"
                f" at step {self.steps_done - count + index + 1};"
                f" try a lower learning rate (optimizer.lr, now {self.optimizer_config.lr})"
            )

    def _update_metrics(
        self, batch: Batch | None, confusion: ConfusionMatrix | None = None
    ) -> None:
        if batch is None:
            return
        for prediction, micro_batch in self.micro_batcher.predict(self.eval_model, batch):
            self._counter.add(prediction, micro_batch)
            self.model.head.update(self._metrics, prediction, micro_batch)
            if confusion is not None:
                confusion.update(prediction, micro_batch)

    def _reset_metrics(self) -> None:
        self._counter.reset()
        for metric in self._metrics.values():
            metric.to(self.device).reset()

    def _compute_scores(self, split: Split) -> dict[str, float]:
        """Return the scores of a split that was evaluated; NaN if a prediction is not finite.

        Raises:
            RuntimeError: not every sample of the split was evaluated.
        """
        self.counts = counts = self._counter.compute(split, self._dist)
        if counts.samples != (size := self._dataset.size(split)):
            raise RuntimeError(f"{counts.samples:,} of {size:,} samples of {split} were evaluated")
        sync_metrics(self._metrics, self._dist)
        scores = {name: float(metric.compute()) for name, metric in self._metrics.items()}
        return dict.fromkeys(scores, math.nan) if counts.not_finite else scores
