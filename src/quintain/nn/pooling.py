"""A fixed-size summary of a sample, for heads with one prediction per sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from quintain.contracts import Features
from quintain.nn.mask import last_valid, mask_fill, masked_mean


class Summary(nn.Module):
    """Concatenate the mean over all valid positions and the last valid step: (B, 2 · dim).

    The mean suits convolutions and attention; the last step suits recurrent networks, whose state
    there depends on the whole sample. On a grid with several axes, the last step along the first
    axis is averaged over the other axes. A grid of one position is not summarised: (B, dim).
    """

    def __init__(self, inp: Features) -> None:
        super().__init__()
        self.is_single_position = inp.grid == (1,)
        self.dim = inp.dim if self.is_single_position else 2 * inp.dim

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, *grid, inp.dim), mask → (B, dim)."""
        if self.is_single_position:
            return masked_mean(x, mask)
        last = last_valid(mask_fill(x, mask), mask)
        last_BD = last if last.dim() == 2 else last.flatten(1, -2).mean(1)
        return torch.cat([masked_mean(x, mask), last_BD], dim=-1)
