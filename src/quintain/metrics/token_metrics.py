"""Cross-entropy of tokens over a whole split: nats per token, bits per character, perplexity.

Legend: N tokens of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanCrossEntropy(Metric):
    """Mean cross-entropy in nats per token; NaN if it is NaN in any batch.

    `MeanMetric` of torchmetrics 1.9 would ignore NaNs or, with `nan_strategy="disable"`, the
    weights.
    """

    full_state_update = False
    total: Tensor
    tokens: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, mean_nats: Tensor, y_N: Tensor) -> None:
        """Add one batch: the mean cross-entropy of its tokens in nats, and the tokens."""
        self.total += mean_nats * y_N.numel()
        self.tokens += y_N.numel()

    def compute(self) -> Tensor:
        return self.total / self.tokens


class BitsPerCharacter(MeanCrossEntropy):
    """Cross-entropy in bits per character of the text.

    Args:
        num_characters: number of characters of each token type.
    """

    characters: Tensor

    def __init__(self, num_characters: Sequence[int]) -> None:
        super().__init__()
        self.num_characters = torch.tensor(num_characters)
        self.add_state("characters", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, mean_nats: Tensor, y_N: Tensor) -> None:
        super().update(mean_nats, y_N)
        self.characters += self.num_characters.to(y_N.device)[y_N].sum()

    def compute(self) -> Tensor:
        return self.total / math.log(2) / self.characters


class Perplexity(MeanCrossEntropy):
    """exp of the mean cross-entropy per token."""

    def compute(self) -> Tensor:
        return super().compute().exp()
