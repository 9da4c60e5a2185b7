"""Splits a batch into micro-batches when memory runs out; their gradients add up to the batch's."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from quintain.contracts import Batch
from quintain.model import Model
from quintain.run.record.failure import is_out_of_memory


class MicroBatcher:
    """Doubles the number of micro-batches each time memory runs out, and never lowers it again.

    It cannot help where the weights and the optimizer state alone do not fit.

    Attributes:
        training: number of micro-batches of a training batch.
        evaluation: number of micro-batches of a validation or test batch.
    """

    def __init__(self) -> None:
        self.training = self.evaluation = 1

    def compute_gradients(
        self,
        model: Model,
        batch: Batch,
        backward: Callable[[Tensor], None],
        zero_grad: Callable[[], None],
    ) -> Tensor:
        """Add the gradients of the batch's mean loss to the parameters, and return that loss.

        Args:
            model: in training mode.
            batch: of any size.
            backward: adds the gradients of a loss to the parameters.
            zero_grad: removes all gradients; called before another try with smaller micro-batches.
        """
        while True:
            rng_state = _get_rng_state(batch)
            try:
                return self._accumulate(model, batch, backward)
            except Exception as error:
                if not is_out_of_memory(error) or self.training >= len(batch.x):
                    raise
            self.training = min(2 * self.training, len(batch.x))
            zero_grad()
            _free_memory()
            _set_rng_state(batch, rng_state)

    def predict(self, model: Model, batch: Batch) -> Iterator[tuple[Tensor, Batch]]:
        """Yield the predictions for each micro-batch, and the micro-batch."""
        pending = _split(batch, self.evaluation)
        while pending:
            try:
                prediction = model.predict(pending[0])
            except Exception as error:
                if not is_out_of_memory(error) or len(pending[0].x) == 1:
                    raise
            else:
                yield prediction, pending.pop(0)
                continue
            self.evaluation *= 2
            pending = [*_split(pending[0], 2), *pending[1:]]
            _free_memory()

    def _accumulate(self, model: Model, batch: Batch, backward: Callable[[Tensor], None]) -> Tensor:
        micro_batches = _split(batch, self.training) if self.training > 1 else []
        weights = [model.head.num_targets(part) for part in micro_batches]
        total = sum(weights)
        if not total:
            loss = model.head.loss(model(batch), batch)
            backward(loss)
            return loss.detach()
        losses = []
        for part, weight in zip(micro_batches, weights, strict=True):
            if weight:  # without a target the mean loss would be NaN
                loss = model.head.loss(model(part), part) * (weight / total)
                backward(loss)
                losses.append(loss.detach())
        return torch.stack(losses).sum()


def select_samples(batch: Batch, rows: slice | Tensor) -> Batch:
    """Return some samples of a batch; they keep its padding, which does not change results."""
    return Batch(*(None if t is None else t[rows] for t in batch))  # type: ignore[arg-type]


def _split(batch: Batch, count: int) -> list[Batch]:
    """Split a batch into `count` parts whose sizes differ by one sample at most."""
    size = len(batch.x)
    count = min(count, size)
    ends = [size * k // count for k in range(count + 1)]
    return [select_samples(batch, slice(a, b)) for a, b in itertools.pairwise(ends)]


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _get_rng_state(batch: Batch) -> list[Tensor]:
    """Return the state of the generators that dropout and augmentation use."""
    states = [torch.default_generator.get_state()]
    if batch.x.is_cuda:
        states.append(torch.cuda.get_rng_state(batch.x.device))
    return states


def _set_rng_state(batch: Batch, states: list[Tensor]) -> None:
    torch.default_generator.set_state(states[0])
    if batch.x.is_cuda:
        torch.cuda.set_rng_state(states[1], batch.x.device)
