"""An MLP-Mixer (Tolstikhin et al. 2021): its blocks mix along time, and then along features.

As in ResMLP (Touvron et al. 2021), time is mixed by one linear map per block, which is causal if
its matrix is lower-triangular.

Legend: B batch, T steps, D features, R rank.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from quintain.plugin_api import (
    Features,
    InputLayout,
    check_at_least_one,
    hidden_sizes,
    mask_fill,
)

MAX_WEIGHTS = 64 * 64  # of a map over time; for more than 64 steps the map has a lower rank


class Mlp(nn.Module):
    """Blocks of a linear map over time and an MLP over features.

    Args:
        inp: features (B, T, D).
        width: number of features of the residual stream.
        expand: approximate ratio of the hidden size of the MLP to `width`.
    """

    input_layout: ClassVar[InputLayout] = "sequence"

    def __init__(
        self, inp: Features, *, width: float = 64.0, num_layers: int = 2, expand: float = 2.0
    ) -> None:
        super().__init__()
        check_at_least_one(width=width, num_layers=num_layers)
        dim = max(1, math.floor(width))
        self.project = nn.Linear(inp.dim, dim)
        self.blocks = nn.ModuleList(
            _MixerBlock(dim, hidden, steps=inp.grid[0], causal=inp.causal)
            for hidden in hidden_sizes(width, dim, num_layers, expand=expand)
        )
        self.norm = nn.LayerNorm(dim)
        self.out = replace(inp, dim=dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), mask → (B, T, out.dim), mask."""
        x_BTD = self.project(mask_fill(x, mask))
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return mask_fill(self.norm(x_BTD), mask), mask


class _MixerBlock(nn.Module):
    """x + mix(norm x), then x + MLP(norm x)."""

    def __init__(self, dim: int, hidden: int, *, steps: int, causal: bool) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(dim), _TimeMix(steps, causal=causal)
        self.features = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        x_BTD = x_BTD + self.mix(mask_fill(self.norm(x_BTD), mask))
        return x_BTD + self.features(x_BTD)


class _TimeMix(nn.Module):
    """A linear map over time, (T, T), the same for all features; lower-triangular if causal.

    A shorter input uses the upper left part of the matrix. Above 64 steps the matrix is a product
    of rank R, so that it has few parameters.
    """

    def __init__(self, steps: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        rank = steps if steps**2 <= MAX_WEIGHTS else max(1, MAX_WEIGHTS // (2 * steps))
        self.weight_TR = nn.Parameter(torch.randn(steps, rank) / math.sqrt(steps))
        self.weight_RT = (
            nn.Parameter(torch.randn(rank, steps) / math.sqrt(rank)) if rank < steps else None
        )
        self.bias_T = nn.Parameter(torch.zeros(steps))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D), for any T up to `steps`."""
        steps = x_BTD.shape[1]
        weight_TT = self.weight_TR
        if self.weight_RT is not None:
            weight_TT = weight_TT @ self.weight_RT
        weight_TT = weight_TT[:steps, :steps]
        if self.causal:
            weight_TT = weight_TT.tril()
        return weight_TT @ x_BTD + self.bias_T[:steps, None]
