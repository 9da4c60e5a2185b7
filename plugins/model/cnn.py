"""Convolutions over a grid of one, two or three axes; causal and dilated over one.

Tensors stay (B, *grid, C): to PyTorch that is the channels-last view of (B, C, *grid), so nothing
is copied. Normalisation is over the channels of one position (LayerNorm, as in ConvNeXt, Liu et al.
2022): it knows neither batch nor padding nor future.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from quintain.contracts import Features, Reads, Skip
from quintain.kit.mask import keep
from quintain.kit.widths import inner, spread

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SMALLEST = 2  # an axis this short is not halved


class Cnn(nn.Module):
    """Residual convolutions: shrinking where only a summary is asked, else keeping the grid.

    Args:
        inp: features (B, *grid, D), with one to three axes; one if causal.
        width: channels of the last stage; each stage before it has half as many.
        num_stages: stages of half the resolution each (only where the grid shrinks).
        num_blocks: residual blocks; where the grid is kept, block k has dilation 2^k, so that six
            see 127 steps.
        max_positions: where the grid shrinks, the first layer strides until no more are left.
            Positions of high resolution cost most of the time: 1024 keeps an image of 28×28 whole,
            takes three times as long and is a little more accurate.
    """

    reads: ClassVar[Reads] = "grid"

    def __init__(
        self,
        inp: Features,
        *,
        width: float = 64.0,
        num_stages: int = 3,
        num_blocks: int | None = None,
        max_positions: int = 512,
    ) -> None:
        super().__init__()
        if len(inp.grid) not in CONV:
            raise Skip(f"convolves over one to three axes, not over a grid {inp.grid}")
        if inp.causal and len(inp.grid) > 1:
            raise Skip(f"is causal over one axis only, and the grid is {inp.grid}")
        if inp.causal or inp.per_position:
            self.layers, grid = _keeping(inp, width, num_blocks or 6), inp.grid
        else:
            strides = _strides(inp.grid, num_stages, max_positions)
            self.layers = _shrinking(inp, width, strides, num_blocks or 1)
            grid = reduce(_shrunk, strides, inp.grid)
        dim = self.layers[-1].dim
        self.norm = nn.LayerNorm(dim)
        self.out = Features(**{**vars(inp), "dim": dim, "grid": grid})

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, *grid, D), mask → (B, *out.grid, out.dim), mask of out.grid[0]."""
        x = keep(x, mask)
        for layer in self.layers:
            x, mask = layer(x, mask)
        return keep(self.norm(x), mask), mask


class Conv(nn.Module):
    """A convolution on (B, *grid, C) whose output t is centred on, or ends at, input stride · t."""

    def __init__(
        self,
        axes: int,
        dim: int,
        out: int,
        *,
        stride: tuple[int, ...],
        dilation: int = 1,
        causal: bool = False,
    ) -> None:
        super().__init__()
        kernel = tuple(max(3, 2 * s - 1) for s in stride)  # no input is jumped over
        # Padded by hand when causal: everything on the left.
        self.left = dilation * (kernel[0] - 1) if causal else 0
        padding = tuple(0 if causal else dilation * (k // 2) for k in kernel)
        # PyTorch's small initial weights on purpose: with He's, Fashion-MNIST was at 72 % instead
        # of 78 % after 400 steps.
        self.conv = CONV[axes](dim, out, kernel, stride, padding, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, *grid, C) → (B, *⌈grid / stride⌉, C)."""
        x = x.movedim(-1, 1)
        if self.left:
            x = F.pad(x, (self.left, 0))
        return self.conv(x).movedim(1, -1)


class Step(nn.Module):
    """A convolution to other channels, perhaps with a stride; then ReLU where no block follows."""

    def __init__(
        self, dim: int, out: int, *, stride: tuple[int, ...], relu: bool, causal: bool = False
    ) -> None:
        super().__init__()
        self.dim, self.stride = out, stride[0]
        self.conv = Conv(len(stride), dim, out, stride=stride, causal=causal)
        self.activation = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.activation(self.conv(keep(x, mask)))
        return x, mask if mask is None else mask[:, :: self.stride]


class Block(nn.Module):
    """x + project(relu(conv(norm x))): `hidden` channels inside, as many as it likes."""

    def __init__(
        self, axes: int, dim: int, hidden: int, *, dilation: int = 1, causal: bool = False
    ) -> None:
        super().__init__()
        self.dim = dim
        self.norm = nn.LayerNorm(dim)
        self.conv = Conv(axes, dim, hidden, stride=(1,) * axes, dilation=dilation, causal=causal)
        self.project = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y = self.conv(keep(self.norm(x), mask))
        return x + self.project(F.relu(y)), mask


def _keeping(inp: Features, width: float, num_blocks: int) -> nn.ModuleList:
    """Dilations 1, 2, 4, …: WaveNet's receptive field (van den Oord et al. 2016)."""
    axes, dim = len(inp.grid), max(1, math.floor(width))
    stride = (1,) * axes
    layers: list[nn.Module] = [Step(inp.dim, dim, stride=stride, relu=False, causal=inp.causal)]
    for k, hidden in enumerate(inner(width, dim, num_blocks)):
        layers.append(Block(axes, dim, hidden, dilation=2**k, causal=inp.causal))
    return nn.ModuleList(layers)


def _shrinking(
    inp: Features, width: float, strides: list[tuple[int, ...]], num_blocks: int
) -> nn.ModuleList:
    """A stage a stride; channels double as the resolution halves. The first has no blocks."""
    dim, num_stages = inp.dim, len(strides)
    layers: list[nn.Module] = []
    for stage, stride in enumerate(strides):
        scaled = width / 2 ** (num_stages - 1 - stage)
        stream = spread(scaled, num_stages)[stage]
        layers.append(Step(dim, stream, stride=stride, relu=stage == 0))
        for hidden in inner(scaled, stream, num_blocks if stage else 0):
            layers.append(Block(len(stride), stream, hidden))
        dim = stream
    return nn.ModuleList(layers)


def _strides(grid: tuple[int, ...], num_stages: int, max_positions: int) -> list[tuple[int, ...]]:
    """Of each stage: the first halves until `max_positions` are left, the others once."""
    first = (1,) * len(grid)
    while math.prod(grid) > max_positions and max(grid) > SMALLEST:
        halving = _halving(grid)
        first = tuple(f * h for f, h in zip(first, halving, strict=True))
        grid = _shrunk(grid, halving)
    strides = [first]
    for _ in range(num_stages - 1):
        strides.append(_halving(grid))
        grid = _shrunk(grid, strides[-1])
    return strides


def _halving(grid: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(2 if g > SMALLEST else 1 for g in grid)


def _shrunk(grid: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-g // s) for g, s in zip(grid, stride, strict=True))
