"""Where memory runs out a batch is taken in pieces, whose gradients add up to the whole batch's."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from quintain.compose.build import Model
from quintain.contracts import Batch
from quintain.run.failure import out_of_memory
from quintain.run.parts import part


class Pieces:
    """How many pieces a batch is taken in: one, and twice as many each time memory runs out.

    Once more pieces were needed they stay: the next batch is as large. Nothing here helps where the
    weights and the optimizer do not fit.

    Attributes:
        training: pieces of a training batch.
        evaluation: of a batch of validation or test.
    """

    def __init__(self) -> None:
        self.training = self.evaluation = 1

    def learn(
        self,
        model: Model,
        batch: Batch,
        backward: Callable[[Tensor], None],
        forget: Callable[[], None],
    ) -> Tensor:
        """The loss of a batch, its gradients added to the parameters'.

        Args:
            model: in training mode.
            batch: of any size.
            backward: adds a loss' gradients.
            forget: takes back what gradients a failed attempt has left.
        """
        while True:
            draws = _draws(batch)
            try:
                return self._whole_or_pieces(model, batch, backward)
            except Exception as error:
                if not out_of_memory(error) or self.training >= len(batch.x):
                    raise
            self.training = min(2 * self.training, len(batch.x))
            forget()
            _free()
            _draw_again(batch, draws)

    def answers(self, model: Model, batch: Batch) -> Iterator[tuple[Tensor, Batch]]:
        """What a model says, and of which samples, one piece after another."""
        waiting = _cut(batch, self.evaluation)
        while waiting:
            try:
                answer = model.answer(waiting[0])
            except Exception as error:
                if not out_of_memory(error) or len(waiting[0].x) == 1:
                    raise
            else:
                yield answer, waiting.pop(0)
                continue
            self.evaluation *= 2
            waiting[:1] = _cut(waiting[0], 2)
            _free()

    def _whole_or_pieces(
        self, model: Model, batch: Batch, backward: Callable[[Tensor], None]
    ) -> Tensor:
        pieces = [batch] if self.training == 1 else _cut(batch, self.training)
        weighed = [(piece, model.head.weight(piece)) for piece in pieces if len(pieces) > 1]
        whole, losses = sum(weight for _, weight in weighed), []
        if not whole:
            loss = model.head.loss(model(batch), batch)
            backward(loss)
            return loss.detach()
        for piece, weight in weighed:
            if weight:  # of nothing that is predicted the mean would be no number
                loss = model.head.loss(model(piece), piece) * (weight / whole)
                backward(loss)
                losses.append(loss.detach())
        return torch.stack(losses).sum()


def _cut(batch: Batch, pieces: int) -> list[Batch]:
    """Pieces that differ by one sample at most."""
    size = len(batch.x)
    count = min(pieces, size)
    ends = [size * k // count for k in range(count + 1)]
    return [part(batch, slice(a, b)) for a, b in itertools.pairwise(ends)]


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _draws(batch: Batch) -> list[Tensor]:
    """The state of the generators that a step may ask."""
    found = [torch.default_generator.get_state()]
    if batch.x.is_cuda:
        found.append(torch.cuda.get_rng_state(batch.x.device))
    return found


def _draw_again(batch: Batch, draws: list[Tensor]) -> None:
    torch.default_generator.set_state(draws[0])
    if batch.x.is_cuda:
        torch.cuda.set_rng_state(draws[1], batch.x.device)
