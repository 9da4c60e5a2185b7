"""The next token at every position.

Legend: B batch, T steps, V vocabulary, N real positions of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from quintain.contracts import (
    Asks,
    Batch,
    Dataset,
    DataSpec,
    Features,
    Json,
    MakeCore,
    Predictor,
    Score,
    Stem,
)
from quintain.kit.heads import BitsPerCharacter, Nats, Perplexity, check_task
from quintain.kit.mask import mask_of
from quintain.kit.references import text as text_references


class NextToken(nn.Module):
    """A linear map of every position's features → logits (B, T, V)."""

    causal: ClassVar[bool] = True
    asks: ClassVar[Asks] = "positions"
    scores: tuple[Score, ...] = (
        Score(name="loss", direction="min", unit="nats/token"),
        Score(name="bits_per_character", direction="min", unit="bits"),
        Score(name="perplexity", direction="min", unit="tokens"),
    )
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "unigram": text_references.unigram,
        "linear": text_references.linear_next_token,
    }

    def __init__(self, inp: Features, spec: DataSpec, make_core: MakeCore | None = None) -> None:
        super().__init__()
        check_task(spec, "next_token")
        if inp.grid != spec.shape:
            raise ValueError(
                f"next_token needs features at each of the {spec.shape[0]} tokens, but the core "
                f"puts out a grid {inp.grid}; a core must keep what inp.asks 'positions' of"
            )
        self.logits = nn.Linear(inp.dim, spec.vocabulary)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, T, dim) → logits (B, T, V)."""
        return self.logits(x)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy in nats, mean over the real tokens."""
        logits_NV, y_N = _real(prediction, batch)
        return F.cross_entropy(logits_NV, y_N)

    def weight(self, batch: Batch) -> int:
        """Real tokens."""
        return batch.y.numel() if batch.lengths is None else int(batch.lengths.sum())

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """The prediction."""
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Mean cross-entropy over tokens in nats, as perplexity, and in bits a character of text.

        Characters are those of the target tokens as text, with what separates them.
        """
        spec = dataset.spec
        sizes = [
            len(dataset.text([token], "y") + spec.separator) for token in range(spec.vocabulary)
        ]
        return {
            "loss": Nats(),
            "bits_per_character": BitsPerCharacter(sizes),
            "perplexity": Perplexity(),
        }

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch, weighted by its number of real tokens."""
        logits_NV, y_N = _real(answer, batch)
        loss = F.cross_entropy(logits_NV, y_N)
        for metric in metrics.values():
            metric.update(loss, y_N)

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """The text one token ahead, and the likeliest token at each position."""
        lengths = [batch.y.shape[1]] * len(batch.y)
        lengths = lengths if batch.lengths is None else batch.lengths.tolist()
        rows = zip(batch.y.tolist(), answer.argmax(-1).tolist(), lengths, strict=True)
        return [
            {"truth": dataset.text(t[:n], "y"), "prediction": dataset.text(s[:n], "y")}
            for t, s, n in rows
        ]


def _real(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Predictions (N, V) and targets (N,) of the real positions, in order."""
    if batch.lengths is None:
        return prediction.flatten(0, 1), batch.y.flatten()
    real_BT = mask_of(batch.lengths, batch.y.shape[1])
    return prediction[real_BT], batch.y[real_BT]
