"""Metrics of predicted symbols that are decoded to strings first.

Legend: B batch, U symbols of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from quintain.contracts import Batch, Side
from quintain.nn.mask import length_mask, mask_fill

Decode = Callable[[Sequence[int], Side], str]
"""The type of `Dataset.decode`."""


def target_symbols(batch: Batch) -> Tensor:
    """Return y in the format of a prediction: long (B, U), padded with -1."""
    assert batch.y_lengths is not None
    return mask_fill(batch.y, length_mask(batch.y_lengths, batch.y.shape[1]), -1)


def decode_rows(symbols_BU: Tensor, decode: Decode) -> list[str]:
    """Decode symbols, long (B, U), padded with -1, to one string per sample."""
    return [decode([symbol for symbol in row if symbol >= 0], "y") for row in symbols_BU.tolist()]


def decode_samples(prediction_BU: Tensor, batch: Batch, decode: Decode) -> list[dict[str, Any]]:
    """Return the target and the predicted text of each sample, as `Head.samples` needs them."""
    truths = decode_rows(target_symbols(batch), decode)
    pairs = zip(truths, decode_rows(prediction_BU, decode), strict=True)
    return [{"truth": truth, "prediction": predicted} for truth, predicted in pairs]


class TextMetric(Metric):
    """Decodes symbols to strings and updates a metric of strings with them.

    Args:
        metric: has the method `update(predicted, true)`, such as torchmetrics' `WordErrorRate`.
        decode: the method `decode` of the dataset.
        multiple_references: whether `metric` takes several true texts for each predicted text, as
            BLEU does.
    """

    full_state_update = False

    def __init__(
        self, metric: Metric, decode: Decode, *, multiple_references: bool = False
    ) -> None:
        super().__init__()
        self.metric, self.decode, self.multiple_references = metric, decode, multiple_references

    def update(self, prediction_BU: Tensor, batch: Batch) -> None:
        predicted = decode_rows(prediction_BU, self.decode)
        true = decode_rows(target_symbols(batch), self.decode)
        references = [[text] for text in true] if self.multiple_references else true
        self.metric.update(predicted, references)

    def compute(self) -> Tensor:
        value: Tensor = self.metric.compute()
        return value

    def reset(self) -> None:
        super().reset()
        self.metric.reset()


class ExactMatch(Metric):
    """Share of predicted texts that equal the true text exactly."""

    full_state_update = False
    matches: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("matches", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Sequence[str], true: Sequence[str]) -> None:
        self.matches += sum(a == b for a, b in zip(predicted, true, strict=True))
        self.total += len(true)

    def compute(self) -> Tensor:
        return self.matches / self.total
