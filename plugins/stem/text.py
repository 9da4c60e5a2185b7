"""The stem of text: a token embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from quintain.plugin_api import (
    DataSpec,
    Features,
    InputLayout,
    check_modality,
    length_mask,
    mask_fill,
)


class Text(nn.Module):
    """Turns tokens, long (B, T), into vectors (B, T, dim).

    Args:
        input_layout: has no effect, because a text has one axis.
        dim: size of the vector of a token.
        std: standard deviation of the initial vectors; None: 0.1 where a text has one target
            (classify, multilabel, regress), else 1. With one target a text, few updates reach a
            word, so a large random initial value remains noise; `docs/decisions/0016-text-std.md`
            has the measurements.
        dropout: dropout rate of the vectors. It helps against memorising a small dataset in the
            embedding table, which can be large because it does not count towards the budget.

    Raises:
        ValueError: the dataset has no text, or a setting is invalid.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        input_layout: InputLayout,
        dim: int = 64,
        std: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_modality(spec, "text")
        if std is None:
            std = 0.1 if spec.task in ("classify", "multilabel", "regress") else 1.0
        if not 0 <= dropout < 1 or std <= 0:
            raise ValueError(f"dropout must be in [0, 1) and std above 0, got {dropout} and {std}")
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(spec.vocabulary, dim)
        with torch.no_grad():
            self.embedding.weight *= std
        self.out = Features(dim=dim, grid=spec.shape, masked=spec.ragged)
        self.layout = "tokens"

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T) → (B, T, dim), and a mask (B, T) where the texts differ in length."""
        mask = None if lengths is None else length_mask(lengths, x.shape[1])
        return mask_fill(self.dropout(self.embedding(x)), mask), mask
