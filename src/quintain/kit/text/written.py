"""Scores of answers that are texts: symbols become strings, and torchmetrics compares those.

Legend: B batch, U symbols of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torchmetrics import Metric

from quintain.contracts import Batch, Side
from quintain.kit.mask import keep, mask_of


class ToText(Protocol):
    """`Dataset.text`."""

    def __call__(self, tokens: Sequence[int], side: Side) -> str: ...


def truth(batch: Batch) -> Tensor:
    """The symbols of y as an answer has them: long (B, U), -1 behind the end of each."""
    assert batch.y_lengths is not None, "a task whose y is a text has y_lengths"
    return keep(batch.y, mask_of(batch.y_lengths, batch.y.shape[1]), -1)


def strings(symbols_BU: Tensor, text: ToText) -> list[str]:
    """Symbols, -1 behind the end of each → one string a sample."""
    return [text([symbol for symbol in row if symbol >= 0], "y") for row in symbols_BU.tolist()]


class Written(Metric):
    """A metric of strings, `update(said, true)`, fed with symbols.

    Args:
        metric: e.g. torchmetrics' `WordErrorRate`.
        text: the dataset's.
        listed: the metric takes a list of several true texts for each one said, as BLEU does.
    """

    full_state_update = False

    def __init__(self, metric: Metric, text: ToText, *, listed: bool = False) -> None:
        super().__init__()
        self.metric, self.text, self.listed = metric, text, listed

    def update(self, answer_BU: Tensor, batch: Batch) -> None:
        """Add one batch."""
        said, true = strings(answer_BU, self.text), strings(truth(batch), self.text)
        self.metric.update(said, [[one] for one in true] if self.listed else true)

    def compute(self) -> Tensor:
        """The metric's value."""
        value: Tensor = self.metric.compute()
        return value

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.metric.reset()


class ExactMatch(Metric):
    """Share of texts that are right to the last character."""

    full_state_update = False
    right: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, said: Sequence[str], true: Sequence[str]) -> None:
        """Add one batch."""
        self.right += sum(a == b for a, b in zip(said, true, strict=True))
        self.total += len(true)

    def compute(self) -> Tensor:
        """A fraction."""
        return self.right / self.total
