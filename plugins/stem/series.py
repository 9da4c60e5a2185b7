"""Time series, step by step as they are."""

from __future__ import annotations

from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, Reads
from quintain.kit.mask import keep, mask_of
from quintain.kit.stem import require


class Series(nn.Module):
    """x (B, T, channels) → itself; the dataset has standardised it.

    Args:
        spec: of a series dataset.
        reads: "grid" or "sequence", which are the same here.

    Raises:
        ValueError: the data is no series.
    """

    def __init__(self, spec: DataSpec, *, reads: Reads) -> None:
        super().__init__()
        require(spec, "series")
        steps, channels = spec.shape
        self.out = Features(dim=channels, grid=(steps,), masked=spec.ragged)
        self.reading = "steps"

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, channels) → the same, mask (B, T) where the series differ in length."""
        mask = None if lengths is None else mask_of(lengths, x.shape[1])
        return keep(x, mask), mask
