"""Tokens → learned vectors."""

from __future__ import annotations

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

    Raises:
        ValueError: the data is no text.
    """

    def __init__(self, spec: DataSpec, *, reads: Reads, dim: int = 64) -> None:
        super().__init__()
        require(spec, "text")
        self.embedding = nn.Embedding(spec.vocabulary, dim)
        self.out = Features(dim=dim, grid=spec.shape, masked=spec.ragged)
        self.reading = "tokens"

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T) → (B, T, dim), mask (B, T) where the texts differ in length."""
        tokens = self.embedding(x)
        mask = None if lengths is None else mask_of(lengths, x.shape[1])
        return keep(tokens, mask), mask
