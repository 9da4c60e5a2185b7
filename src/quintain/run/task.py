"""The LightningModule: trains a stem, core and head, whatever they are, and keeps the curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from quintain.compose.build import Model
from quintain.contracts import Batch, Dataset, Score
from quintain.run import state
from quintain.run.checkpoint import Keeper, Stage, State, words
from quintain.run.clocks import Clocks
from quintain.run.confusion import Confusion
from quintain.run.merge import merge
from quintain.run.optimize import Recipe
from quintain.run.pieces import Pieces
from quintain.run.ranks import ALONE, Ranks
from quintain.run.shard import gather, whole
from quintain.run.shared import SharedKeeper


class NonFiniteLoss(ArithmeticError):
    """The training loss or a gradient is no longer a number."""


class Unfit(ValueError):
    """What an earlier run has kept does not fit this one."""


@dataclass
class Point:
    """One reading of the validation split during training."""

    step: int
    seconds: float
    train_loss: float
    scores: dict[str, float]


@dataclass
class Trace:
    """What a run leaves behind while it trains."""

    curve: list[Point] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)
    shared_ms: list[float] = field(default_factory=list)  # of each step, waiting for other ranks
    test: dict[str, float] = field(default_factory=dict)
    confusion: dict[str, Any] | None = None  # of the test, where the task is to classify
    best: Point | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)


class Task(pl.LightningModule):
    """Trains a `Model` with manual optimisation, several optimizer steps in one Lightning step.

    Args:
        model: stem, core and head.
        recipe: how weights are updated.
        dataset: set up; the head's metrics may ask it what tokens and targets mean.
        steps: number of optimizer steps, for the schedule.
        clocks: switched between training and validation.
        seconds: training time after which to stop; None: no limit.
        progress: called with the number of steps done, after each chunk and evaluated batch.
        synchronize: waits for the device, before a clock is read.
        each_step: operations have ended when they return, so that a step can be timed alone; where
            they have not (a GPU), the steps of a chunk share its time evenly.
        keeper: keeps the state between two chunks, so that an interrupted run can go on.
        hear: called when training, a validation or the test begins: Lightning takes the process's
            signals for itself each time.
        ranks: the processes that train together, each with its share of every batch.
        seed: of what the ranks draw apart from each other.
        judged: a whole copy of a model that will be spread over the ranks: what is evaluated.
    """

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        dataset: Dataset,
        *,
        steps: int,
        clocks: Clocks,
        seconds: float | None = None,
        progress: Callable[[int], None] = lambda step: None,
        synchronize: Callable[[], None] = lambda: None,
        each_step: bool = True,
        keeper: Keeper | SharedKeeper | None = None,
        hear: Callable[[], None] = lambda: None,
        ranks: Ranks = ALONE,
        seed: int = 0,
        judged: Model | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model, self.judged = model, judged or model
        self.recipe = recipe
        self.trace = Trace()
        self.steps_done = 0
        self.pieces = Pieces()
        self._steps, self._seconds = steps, seconds
        self.clocks, self._progress, self._synchronize = clocks, progress, synchronize
        self._each_step, self._ranks, self._seed = each_step, ranks, seed
        self._keeper, self._hear = keeper, hear
        self._before_me: State | None = None
        self._kept: tuple[int, Stage] = (0, "training")
        self.losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._factor = 1.0  # what a batch's loss counts among the ranks
        self._metrics = model.head.metrics(dataset)
        self._confusion = Confusion(dataset.spec)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.recipe.build(self.model)

    def resume(self, before: State) -> None:
        """Go on from what an earlier run kept; see `run.state`."""
        state.put_back(self, before)
        self._before_me, self._kept = before, (self.steps_done, before["stage"])

    def on_train_start(self) -> None:
        self._ranks.draw_apart(self._seed)
        self._stepper = self._optimizer()
        self._hear()
        if self._keeper is not None:
            self._keeper.begin()
        if self._before_me is not None:
            self._put_back(self._before_me)
            self._before_me = None
        self.clocks.switch("training")  # Lightning has set itself and the device up

    def _put_back(self, before: State) -> None:
        """What can be put back only when the optimizer and the device are there."""
        try:
            self.model.load_state_dict(before["model"])  # again, now that it has its precision
            self._stepper.load_state_dict(before["optimizer"])
            self.losses = [loss.to(self.device) for loss in self.losses]
            state.draw_on(before["draws"])
        except Exception as error:
            raise Unfit(words(error)) from error

    def on_train_batch_start(self, batch: list[Batch], batch_idx: int) -> None:
        # An empty chunk stands for a validation that is to come, of which a state is kept already.
        if batch and self._keeper is not None and self._keeper.due():
            self._keep_state("training", state.draws())

    def _leave_if_asked(self, stage: Stage, draws: State) -> None:
        if self._keeper is not None and self._keeper.leaving():
            self._keep_state(stage, draws)

    def _keep_state(self, stage: Stage, draws: State) -> None:
        """Write a checkpoint, unless it is there; the time for it is not counted as training."""
        assert self._keeper is not None
        phase = self.clocks.switch("logging")
        what: State = {}
        if self._kept != (self.steps_done, stage):
            what = state.captured(self, self._stepper) | {"stage": stage, "draws": draws}
        self._kept = (self.steps_done, stage)
        self._keeper.save(self.steps_done, what)
        self.clocks.switch(phase)

    def on_train_end(self) -> None:
        self._synchronize()
        self.clocks.switch("setup")

    def training_step(self, chunk: list[Batch], batch_idx: int) -> None:
        """A chunk of batches: one optimizer step each, timed each without the wait for its data."""
        if chunk:
            self._train(chunk)
        if self._time_is_up():
            self.trainer.should_stop = True

    def _train(self, chunk: list[Batch]) -> None:
        optimizer = self._optimizer()
        seconds = []
        first = time.perf_counter()
        factors = self._ranks.factors([self.model.head.weight(batch) for batch in chunk])
        for batch, self._factor in zip(chunk, factors, strict=True):
            began, waited = time.perf_counter(), self._ranks.waited
            self.losses.append(self._step(batch, optimizer))
            seconds.append(time.perf_counter() - began)
            self.trace.shared_ms.append(1e3 * (self._ranks.waited - waited))
            if self._each_step and self._time_is_up():
                break
        self._synchronize()
        if not self._each_step:
            seconds = [(time.perf_counter() - first) / len(seconds)] * len(seconds)
        self.trace.step_ms += [1e3 * s for s in seconds]
        self._check(len(seconds))
        self._progress(self.steps_done)

    def _optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def _time_is_up(self) -> bool:
        """As rank 0 finds, so that all stop at the same step."""
        if self._seconds is None:
            return False
        return self._ranks.agree(self.clocks.read("training") >= self._seconds)

    def _step(self, batch: Batch, optimizer: torch.optim.Optimizer) -> Tensor:
        """One optimizer step; gives this rank's part of the loss."""
        rate = self.recipe.rate(self.steps_done, self._steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = self._learn(batch, optimizer)
        if self.recipe.clip_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
            self._norms.append(norm if self.judged is self.model else whole(norm))
        optimizer.step()
        self.steps_done += 1
        return loss

    def _learn(self, batch: Batch, optimizer: torch.optim.Optimizer) -> Tensor:
        """The loss, its gradients added to the parameters'; of several ranks none can take a batch
        again, since the others do not wait.
        """
        if self._ranks.alone:
            return self.pieces.learn(self.model, batch, self._backward, optimizer.zero_grad)
        prediction = self.model(batch)
        loss = self._part(self.model.head.loss(prediction, batch), prediction)
        self._backward(loss)
        return loss.detach()

    def _part(self, loss: Tensor, prediction: Tensor) -> Tensor:
        """The loss by its share; of nothing that is predicted the mean would be no number."""
        return loss * self._factor if self._factor else 0 * prediction.sum()

    def _backward(self, loss: Tensor) -> None:
        """Lightning's own backward costs 40 µs and is needed for several devices only, since no
        hardware here scales its loss.
        """
        if isinstance(self.trainer.strategy, SingleDeviceStrategy):
            torch.autograd.backward(loss)
        else:
            self.manual_backward(loss)

    def _check(self, count: int) -> None:
        """One look a chunk: on a GPU every look waits for the device.

        A gradient that is no number spoils the weights, so it is not left to the next loss to tell.
        """
        seen, self._norms = [*self.losses[-count:], *self._norms], []
        if not self._ranks.alone:
            parts = torch.stack(self.losses[-count:]).cpu()
            self.losses[-count:] = self._ranks.sum(parts) / self._ranks.world
            seen[:count] = self.losses[-count:]
        read = torch.stack(seen).tolist()
        bad = [(i % count, i // count) for i, value in enumerate(read) if not math.isfinite(value)]
        if bad:
            first, kind = min(bad)
            what = ("training loss", "norm of the gradient")[kind]
            raise NonFiniteLoss(
                f"the {what} is {read[kind * count + first]}"
                f" at step {self.steps_done - count + first + 1};"
                f" try a lower learning rate (optimizer.lr, now {self.recipe.lr})"
            )

    def on_validation_epoch_start(self) -> None:
        self._before = self.clocks.switch("validation")
        if self.judged is not self.model:
            gather(self.model, self.judged)
        self._draws = state.draws() if self._keeper is not None else {}
        self._start_metrics()

    def validation_step(self, batch: Batch | None, batch_idx: int) -> None:
        self._leave_if_asked("validating", self._draws)
        self._update(batch)

    def on_validation_epoch_end(self) -> None:
        scores = self._read_metrics()
        recent = torch.stack(self.losses).mean().item() if self.losses else math.nan
        self.losses.clear()
        seconds = self.clocks.read("training")
        self._keep(Point(self.steps_done, seconds, recent, scores))
        self.clocks.switch(self._before)

    def test_step(self, batch: Batch | None, batch_idx: int) -> None:
        self._leave_if_asked("over", {})
        self._update(batch, self._confusion.add)

    def _update(
        self, batch: Batch | None, also: Callable[[Tensor, Batch], None] = lambda a, b: None
    ) -> None:
        """None where this rank has no share of a batch."""
        if batch is not None:
            for answer, piece in self.pieces.answers(self.judged, batch):
                self.model.head.update(self._metrics, answer, piece)
                also(answer, piece)
        self._progress(self.steps_done)

    def on_test_epoch_start(self) -> None:
        self._start_metrics()

    def on_test_epoch_end(self) -> None:
        self.trace.test = self._read_metrics()
        self.trace.confusion = self._confusion.plain(self._ranks)

    def load_best(self) -> None:
        """Go back to the weights that were best on validation, in a model that is whole."""
        self.model = self.judged
        self.model.load_state_dict(self.trace.weights)

    def _keep(self, point: Point) -> None:
        self.trace.curve.append(point)
        main = self.model.head.scores[0]
        if self.trace.best is None or better(point, self.trace.best, main):
            self.trace.best = point
            self.trace.weights = {k: v.clone() for k, v in self.judged.state_dict().items()}

    def _start_metrics(self) -> None:
        self._hear()
        for metric in self._metrics.values():
            metric.to(self.device).reset()

    def _read_metrics(self) -> dict[str, float]:
        merge(self._metrics, self._ranks)
        return {name: float(metric.compute()) for name, metric in self._metrics.items()}


def better(a: Point, b: Point, score: Score) -> bool:
    """Whether `a` is strictly better than `b`; what is not a number is worse than anything."""
    x, y = a.scores[score.name], b.scores[score.name]
    if math.isnan(y):
        return not math.isnan(x)
    return x > y if score.direction == "max" else x < y
