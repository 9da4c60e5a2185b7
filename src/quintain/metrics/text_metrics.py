"""Metrics of predicted symbols that are decoded to strings, and compared with true texts.

Legend: B batch, U symbols of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric

from quintain.contracts import Batch, Dataset, OptionalDatasetAttributes, Side
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


def get_references(batch: Batch, dataset: Dataset) -> list[Sequence[str]]:
    """Return the true texts of each sample: those that the dataset keeps, else the decoded y."""
    if batch.references is None:
        return [(text,) for text in decode_rows(target_symbols(batch), dataset.decode)]
    kept = cast("OptionalDatasetAttributes", dataset)
    return [kept.references(number) for number in batch.references.tolist()]


def decode_samples(prediction_BU: Tensor, batch: Batch, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the true texts, one or a list, and the predicted text of each sample.

    This is what `Head.samples` needs.
    """
    predicted = decode_rows(prediction_BU, dataset.decode)
    return [
        {"truth": texts[0] if len(texts) == 1 else [*texts], "prediction": prediction}
        for texts, prediction in zip(get_references(batch, dataset), predicted, strict=True)
    ]


class TextMetric(Metric):
    """Decodes symbols to strings and updates a metric of strings with them and the true texts.

    Args:
        metric: has the method `update(predicted, true)`, such as torchmetrics' `WordErrorRate`.
        dataset: decodes symbols, and may keep the true texts.
        multiple_references: whether `metric` takes several true texts for each predicted text, as
            BLEU does; else it gets the first one.
    """

    full_state_update = False

    def __init__(
        self, metric: Metric, dataset: Dataset, *, multiple_references: bool = True
    ) -> None:
        super().__init__()
        self.metric, self.dataset = metric, dataset
        self.multiple_references = multiple_references

    def update(self, prediction_BU: Tensor, batch: Batch) -> None:
        references = get_references(batch, self.dataset)
        predicted = decode_rows(prediction_BU, self.dataset.decode)
        self.metric.update(
            predicted,
            references if self.multiple_references else [texts[0] for texts in references],
        )

    def compute(self) -> Tensor:
        value: Tensor = self.metric.compute()
        return value

    def reset(self) -> None:
        super().reset()
        self.metric.reset()


class ExactMatch(Metric):
    """Share of predicted texts that equal a true text exactly."""

    full_state_update = False
    matches: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("matches", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> None:
        """Add predicted texts, and for each of them one or more true texts."""
        self.matches += sum(a in texts for a, texts in zip(predicted, references, strict=True))
        self.total += len(predicted)

    def compute(self) -> Tensor:
        return self.matches / self.total
