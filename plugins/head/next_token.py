"""The head of next-token prediction: the next token at every position.

Legend: B batch, T steps, V vocabulary, N valid positions of a batch.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from quintain.baselines.next_token import linear_next_token, unigram
from quintain.contracts import Batch, Dataset, DataSpec, Features, Json, MakeCore, Score
from quintain.metrics.token_metrics import BitsPerCharacter, MeanCrossEntropy, Perplexity
from quintain.nn.checks import check_task
from quintain.nn.mask import length_mask, select_valid, unpad


class NextToken(nn.Module):
    """A linear map of the features at each position to logits (B, T, V)."""

    causal = True
    output_mode = "positions"
    scores = (
        Score(name="loss", direction="min", unit="nats/token"),
        Score(name="bits_per_character", direction="min", unit="bits"),
        Score(name="perplexity", direction="min", unit="tokens"),
    )
    baselines: ClassVar = {"unigram": unigram, "linear": linear_next_token}

    def __init__(self, inp: Features, spec: DataSpec, make_core: MakeCore | None = None) -> None:
        super().__init__()
        check_task(spec, "next_token")
        if inp.grid != spec.shape:
            raise ValueError(
                f"next_token needs features at each of the {spec.shape[0]} tokens, but the model "
                f"returns the grid {inp.grid}; where inp.output_mode is 'positions', a model must "
                "keep the first axis"
            )
        self.logits = nn.Linear(inp.dim, spec.vocabulary)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, T, dim) → logits (B, T, V)."""
        return self.logits(x)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats per valid token."""
        logits_NV, y_N = _select_valid(prediction, batch)
        return F.cross_entropy(logits_NV, y_N)

    def num_targets(self, batch: Batch) -> int:
        """Return the number of valid tokens."""
        return batch.y.numel() if batch.lengths is None else int(batch.lengths.sum())

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return cross-entropy in nats per token and in bits per character, and perplexity.

        Each token counts the characters of its text and of the separator behind it.
        """
        texts = (dataset.decode([token], "y") for token in range(dataset.spec.vocabulary))
        return {
            "loss": MeanCrossEntropy(),
            "bits_per_character": BitsPerCharacter(
                [len(text + dataset.spec.separator) for text in texts]
            ),
            "perplexity": Perplexity(),
        }

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        logits_NV, y_N = _select_valid(prediction, batch)
        loss = F.cross_entropy(logits_NV, y_N)
        for metric in metrics.values():
            metric.update(loss, y_N)

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Return the target text, and the most likely token at each of its positions."""
        targets, best = (unpad(y, batch.lengths) for y in (batch.y, prediction.argmax(-1)))
        return [
            {"truth": dataset.decode(y, "y"), "prediction": dataset.decode(predicted, "y")}
            for y, predicted in zip(targets, best, strict=True)
        ]


def _select_valid(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return logits (N, V) and targets (N,) of the valid positions."""
    mask = None if batch.lengths is None else length_mask(batch.lengths, batch.y.shape[1])
    return select_valid(prediction, mask), select_valid(batch.y, mask)
