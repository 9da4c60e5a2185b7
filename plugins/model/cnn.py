"""Convolutional networks over a grid of one, two or three axes.

Tensors have the shape (B, *grid, C), which is the channels-last memory format of (B, C, *grid), so
convolutions need no copies. LayerNorm over the channels of a position (as in ConvNeXt, Liu et al.
2022) does not depend on the batch, on padding or on later steps.

Legend: B batch, C channels, D input features, grid = sizes of the axes between B and C.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from quintain.contracts import Features, InputLayout, Unsupported
from quintain.nn.checks import check_at_least_one
from quintain.nn.mask import mask_fill
from quintain.nn.widths import hidden_sizes

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MIN_AXIS = 4  # axes of this size are not pooled further, so that the location is not lost
MIN_STAGES = 3
MAX_STEP_POSITIONS = {1: 32, 2: 128}  # positions of one step, by its number of axes

Grid = tuple[int, ...]


class Cnn(nn.Module):
    """A convolutional network that depends on the head's output mode.

    * "summary": stages of convolution and pooling until few positions remain, which are flattened
      into the features. Fashion-MNIST had an accuracy of 89 % with flattening and of 78 % with the
      mean over positions, after 400 steps. An axis with a mask is not flattened.
    * "memory": the same stages; the remaining positions are not flattened.
    * "positions": stages that pool all axes but the first, then dilated residual convolutions along
      the first axis.

    Args:
        inp: features (B, *grid, D), with one to three axes; one if causal.
        width: number of channels of the last stage; they grow linearly from stage to stage.
        num_blocks: number of dilated blocks. Block k has dilation 2^k, so six blocks read 127
            steps.
        max_positions: largest number of positions after the first convolution, which is strided to
            save time. With output mode "positions", only axes other than the first are strided, and
            a step has at most 32 positions on one axis or 128 on two.
        init: initialisation of convolutions. "torch": PyTorch's default. "he": He et al. 2015, with
            zero biases. It preserves differences between inputs better, without which a recurrent
            network on top may not learn at all.

    Raises:
        ValueError: an unknown `init`, or a size below 1.
        Unsupported: more than three axes, or more than one if causal.
    """

    input_layout: ClassVar[InputLayout] = "grid"

    def __init__(
        self,
        inp: Features,
        *,
        width: float = 64.0,
        num_blocks: int = 6,
        max_positions: int = 1024,
        init: Literal["torch", "he"] = "torch",
    ) -> None:
        super().__init__()
        if init not in ("torch", "he"):
            raise ValueError(f"init must be torch or he, not {init!r}")
        check_at_least_one(width=width, num_blocks=num_blocks, max_positions=max_positions)
        if len(inp.grid) not in CONV:
            raise Unsupported(f"a CNN needs a grid of one to three axes, not {inp.grid}")
        if inp.causal and len(inp.grid) > 1:
            raise Unsupported(f"a causal CNN needs a grid of one axis, not {inp.grid}")
        self.body: nn.Module
        if inp.output_mode == "positions" and len(inp.grid) > 1:
            self.body = _PooledStepsCnn(inp, width, num_blocks, max_positions)
        elif inp.causal or (inp.output_mode != "summary" and len(inp.grid) == 1):
            self.body = _DilatedCnn(inp, width, num_blocks)
        else:
            self.body = _PoolingCnn(inp, width, max_positions)
        if init == "he":
            self.apply(_init_he)
        self.out = replace(inp, dim=self.body.dim, grid=self.body.grid)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, *inp.grid, D), mask → (B, *out.grid, out.dim), mask (B, out.grid[0])."""
        return self.body(mask_fill(x, mask), mask)


class _PoolingCnn(nn.Module):
    """Stages of convolution and pooling, whose output positions are flattened where possible."""

    def __init__(self, inp: Features, width: float, max_positions: int) -> None:
        super().__init__()
        stride, grid = _choose_stride(inp.grid, max_positions)
        pools = _choose_pools(grid)
        dims = _choose_channels(width, len(pools))
        self.stages, grid = _make_stages(inp.dim, dims, stride, pools, grid)
        self.keeps_positions = inp.output_mode == "memory" and not inp.masked
        out_grid = grid if self.keeps_positions else grid[:1] if inp.masked else ()
        self.grid = (math.prod(out_grid),)
        self.dim = dims[-1] * math.prod(grid[len(out_grid) :])

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        for stage in self.stages:
            x, mask = stage(x, mask)
        if self.keeps_positions:
            return x.flatten(1, -2), None
        if mask is None:
            return x.flatten(1)[:, None], None
        return x.flatten(2), mask


class _PooledStepsCnn(nn.Module):
    """Stages that pool all axes but the first, then a `_DilatedCnn` along the first axis."""

    def __init__(self, inp: Features, width: float, num_blocks: int, max_positions: int) -> None:
        super().__init__()
        limit = min(max_positions, MAX_STEP_POSITIONS[len(inp.grid) - 1])
        step_stride, step_grid = _choose_stride(inp.grid[1:], limit)
        pools: list[Grid] = [(1, *pool) for pool in _choose_pools(step_grid)]
        dims = _choose_channels(width, len(pools))
        stride, grid = (1, *step_stride), (inp.grid[0], *step_grid)
        self.stages, grid = _make_stages(inp.dim, dims, stride, pools, grid)
        steps = replace(inp, dim=dims[-1] * math.prod(grid[1:]), grid=grid[:1])
        self.along = _DilatedCnn(steps, width, num_blocks)
        self.dim, self.grid = self.along.dim, grid[:1]

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        for stage in self.stages:
            x, mask = stage(x, mask)
        return self.along(x.flatten(2), mask)


class _DilatedCnn(nn.Module):
    """Residual blocks with dilations 1, 2, 4, …, as in WaveNet (van den Oord et al. 2016)."""

    def __init__(self, inp: Features, width: float, num_blocks: int) -> None:
        super().__init__()
        axes, self.dim, self.grid = len(inp.grid), max(1, math.floor(width)), inp.grid
        self.project = _Conv(axes, inp.dim, self.dim, causal=inp.causal)
        self.blocks = nn.ModuleList(
            _ResidualBlock(axes, self.dim, hidden, dilation=2**k, causal=inp.causal)
            for k, hidden in enumerate(hidden_sizes(width, self.dim, num_blocks))
        )
        self.norm = nn.LayerNorm(self.dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.project(x)
        for block in self.blocks:
            x = block(x, mask)
        return mask_fill(self.norm(x), mask), mask


class _Conv(nn.Module):
    """A convolution on (B, *grid, C) whose kernel is large enough that no stride skips inputs.

    Output t reads inputs stride · t - 1 to stride · (t + 1) - 1, and at least three. If causal, the
    last input that it reads is stride · t.
    """

    def __init__(
        self,
        axes: int,
        dim: int,
        out: int,
        *,
        stride: Grid | None = None,
        dilation: int = 1,
        causal: bool = False,
    ) -> None:
        super().__init__()
        stride = stride or (1,) * axes
        kernel = tuple(max(3, s + 1) for s in stride)
        # nn.Conv pads both sides equally. Other padding is for F.pad, from the last axis on.
        self.padding: Sequence[int] = ()
        if causal:
            self.padding = (dilation * (kernel[0] - 1), 0)
        elif max(stride) > 2:
            self.padding = [n for s in reversed(stride) for n in (1, max(1, s - 1))]
        conv_padding = tuple(0 if self.padding else dilation * (k // 2) for k in kernel)
        self.conv = CONV[axes](dim, out, kernel, stride, conv_padding, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, *grid, dim) → (B, *⌈grid / stride⌉, out)."""
        x = x.movedim(-1, 1)
        if self.padding:
            x = F.pad(x, self.padding)
        return self.conv(x).movedim(1, -1)


class _Stage(nn.Module):
    """Convolution, max-pooling, norm and ReLU; pooling first saves time in norm and ReLU."""

    def __init__(self, dim: int, out: int, *, stride: Grid, pool: Grid) -> None:
        super().__init__()
        self.stride, self.pool = stride[0], pool
        self.conv = _Conv(len(stride), dim, out, stride=stride)
        self.norm = nn.LayerNorm(out)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        mask = mask if mask is None else mask[:, :: self.stride]
        x = self.conv(x)
        if max(self.pool) > 1:
            x = mask_fill(x, mask, -math.inf)  # padding must not be a maximum
            pool = POOL[len(self.pool)]
            x = pool(x.movedim(-1, 1), self.pool, self.pool, ceil_mode=True).movedim(1, -1)
            mask = mask if mask is None else mask[:, :: self.pool[0]]
        return mask_fill(F.relu(self.norm(mask_fill(x, mask))), mask), mask


class _ResidualBlock(nn.Module):
    """x + project(relu(conv(norm x))), with `hidden` channels after the convolution."""

    def __init__(self, axes: int, dim: int, hidden: int, *, dilation: int, causal: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = _Conv(axes, dim, hidden, dilation=dilation, causal=causal)
        self.project = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return x + self.project(F.relu(self.conv(mask_fill(self.norm(x), mask))))


def _init_he(module: nn.Module) -> None:
    if isinstance(module, _Conv):
        nn.init.kaiming_normal_(module.conv.weight, nonlinearity="relu")
        nn.init.zeros_(module.conv.bias)


def _make_stages(
    dim: int, dims: list[int], stride: Grid, pools: list[Grid], grid: Grid
) -> tuple[nn.ModuleList, Grid]:
    """Build the stages, the first one with a stride; also return the grid after them."""
    stages = nn.ModuleList()
    for before, after, pool in zip([dim, *dims], dims, pools, strict=False):
        stages.append(_Stage(before, after, stride=stride, pool=pool))
        grid, stride = _divide(grid, pool), (1,) * len(grid)
    return stages, grid


def _choose_channels(width: float, num_stages: int) -> list[int]:
    """Return the channels of the n stages: about width / n, 2 · width / n, … width.

    The rounding differs, so that the stages get their next channel at different widths.
    """
    ratios = [k / num_stages for k in range(1, num_stages + 1)]
    return [max(1, math.floor(width * ratio + (1 - ratio) * 0.7)) for ratio in ratios]


def _choose_stride(grid: Grid, max_positions: int) -> tuple[Grid, Grid]:
    """Return the stride of the first convolution, and the grid after it."""
    stride = (1,) * len(grid)
    while math.prod(grid) > max_positions and max(grid) > MIN_AXIS:
        halving = _halve_long_axes(grid)
        stride = tuple(s * h for s, h in zip(stride, halving, strict=True))
        grid = _divide(grid, halving)
    return stride, grid


def _choose_pools(grid: Grid) -> list[Grid]:
    """Return the pooling of each stage: axes are halved while they are longer than `MIN_AXIS`."""
    pools = []
    while max(grid) > MIN_AXIS or len(pools) < MIN_STAGES:
        pools.append(_halve_long_axes(grid))
        grid = _divide(grid, pools[-1])
    return pools


def _halve_long_axes(grid: Grid) -> Grid:
    return tuple(2 if g > MIN_AXIS else 1 for g in grid)


def _divide(grid: Grid, stride: Grid) -> Grid:
    """Return the sizes of the grid divided by the stride, rounded up."""
    return tuple(math.ceil(g / s) for g, s in zip(grid, stride, strict=True))
