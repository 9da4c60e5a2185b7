"""An MLP over positions: mixing along time and MLPs along features, in turns.

After MLP-Mixer (Tolstikhin et al. 2021), with one linear map over time a block, as in ResMLP
(Touvron et al. 2021), because its lower triangle makes a causal MLP.

Legend: B batch, T steps, D features of the stream, R rank.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from quintain.contracts import Features, Reads
from quintain.kit.mask import keep
from quintain.kit.widths import at_least_one, inner

MOST_WEIGHTS = 64 * 64  # of one map over time; longer sequences get a map of lower rank


class Mlp(nn.Module):
    """`num_layers` blocks of a linear map over time and an MLP over features.

    Args:
        inp: features (B, T, D).
        width: size of the stream.
        num_layers: blocks.
        expand: the MLP over features is about this many times as wide as the stream.
    """

    reads: ClassVar[Reads] = "sequence"

    def __init__(
        self, inp: Features, *, width: float = 64.0, num_layers: int = 2, expand: float = 2.0
    ) -> None:
        super().__init__()
        at_least_one(width=width, num_layers=num_layers)
        dim = max(1, math.floor(width))
        self.read = nn.Linear(inp.dim, dim)
        self.blocks = nn.ModuleList(
            _Block(dim, hidden, steps=inp.grid[0], causal=inp.causal)
            for hidden in inner(width, dim, num_layers, expand=expand)
        )
        self.norm = nn.LayerNorm(dim)
        self.out = Features(**{**vars(inp), "dim": dim})

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), mask → (B, T, out.dim), mask."""
        x_BTD = self.read(keep(x, mask))
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return keep(self.norm(x_BTD), mask), mask


class _Block(nn.Module):
    """x + mix(norm x), then x + MLP(norm x)."""

    def __init__(self, dim: int, hidden: int, *, steps: int, causal: bool) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(dim), _TimeMix(steps, causal=causal)
        self.features = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        x_BTD = x_BTD + self.mix(keep(self.norm(x_BTD), mask))
        return x_BTD + self.features(x_BTD)


class _TimeMix(nn.Module):
    """A linear map over time, (T, T), the same for all features; lower-triangular when causal.

    A shorter input meets the leading part of the map. Above 64 steps the map is a product of two
    of rank R, so that long sequences do not spend a whole parameter budget on it.
    """

    def __init__(self, steps: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        rank = steps if steps**2 <= MOST_WEIGHTS else max(1, MOST_WEIGHTS // (2 * steps))
        self.weight_TR = nn.Parameter(torch.randn(steps, rank) / math.sqrt(steps))
        self.weight_RT = (
            nn.Parameter(torch.randn(rank, steps) / math.sqrt(rank)) if rank < steps else None
        )
        self.bias_T = nn.Parameter(torch.zeros(steps))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D), for any T up to `steps`; zeros contribute nothing."""
        steps = x_BTD.shape[1]
        weight_TT = self.weight_TR
        if self.weight_RT is not None:
            weight_TT = weight_TT @ self.weight_RT
        weight_TT = weight_TT[:steps, :steps]
        if self.causal:
            weight_TT = weight_TT.tril()
        return weight_TT @ x_BTD + self.bias_T[:steps, None]
