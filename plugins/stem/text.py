"""Tokens → learned vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, Reads
from quintain.kit.mask import keep, mask_of
from quintain.kit.stem import require


class Text(nn.Module):
    """x long (B, T) → (B, T, dim) by one embedding table; text has one axis however it is read.

    Args:
        spec: of a text dataset; `vocabulary` rows are made.
        reads: "grid" or "sequence", which are the same here.
        dim: size of a token's vector.
        std: of the vectors' values at first. Small ones suit small data: what a model learns of a
            word then outweighs what it was given by chance.
        dropout: share of a vector's values that are set to zero while training, the others scaled
            up. Tables do not count towards a budget, so they can learn a small data set by heart.

    Raises:
        ValueError: the data is no text, or `dropout` is no share.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        reads: Reads,
        dim: int = 64,
        std: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require(spec, "text")
        if not 0 <= dropout < 1 or std <= 0:
            raise ValueError(f"dropout must be in [0, 1) and std above 0, came {dropout} and {std}")
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(spec.vocabulary, dim)
        with torch.no_grad():
            self.embedding.weight *= std
        self.out = Features(dim=dim, grid=spec.shape, masked=spec.ragged)
        self.reading = "tokens"

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T) → (B, T, dim), mask (B, T) where the texts differ in length."""
        tokens = self.dropout(self.embedding(x))
        mask = None if lengths is None else mask_of(lengths, x.shape[1])
        return keep(tokens, mask), mask
