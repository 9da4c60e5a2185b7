"""Turn a real `width` into integer layer sizes, and find the width that meets a parameter budget.

If all layers had `floor(width)` units, every layer would get its next unit at the same width, and
the parameter count would jump. `layer_sizes` therefore adds units to one layer after another, and
`hidden_sizes` chooses the hidden size of residual blocks such that *stream × hidden* is
proportional to `width²` although the size of the residual stream jumps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

TOLERANCE = 0.02  # a budget counts as met within ±2 %
MAX_SEARCH_ERROR = 0.001  # the search stops at this relative error
MAX_WIDTH = 65536.0


def layer_sizes(width: float, n: int) -> list[int]:
    """Return the n sizes `floor(width + k / n)`, k = 0 … n - 1; their sum is `floor(n · width)`.

    No size is below 1.

    >>> layer_sizes(8.0, 3), layer_sizes(8.4, 3), layer_sizes(8.7, 3)
    ([8, 8, 8], [8, 8, 9], [8, 9, 9])
    """
    return [max(1, math.floor(width + k / n)) for k in range(n)]


def hidden_sizes(width: float, stream: int, n: int, *, expand: float = 1.0) -> list[int]:
    """Return hidden sizes of n residual blocks such that stream · size ≈ expand · width².

    >>> hidden_sizes(10.0, 10, 2, expand=2.0), hidden_sizes(10.99, 10, 2, expand=2.0)
    ([20, 20], [24, 24])
    """
    return layer_sizes(expand * width * width / stream, n)


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Return the number of trainable parameters without embedding tables, and with them.

    A weight that an embedding shares with another layer counts as a table.
    """
    tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    trainable = [p for p in module.parameters() if p.requires_grad]
    return (
        sum(p.numel() for p in trainable if id(p) not in tables),
        sum(p.numel() for p in trainable),
    )


@dataclass(frozen=True)
class SolvedWidth:
    """The width whose parameter count is closest to a target."""

    width: float
    params: int
    target: int

    @property
    def error(self) -> float:
        """Relative deviation from the target, with sign; 0 where the target is 0."""
        return 0.0 if self.target == 0 else self.params / self.target - 1

    @property
    def is_within_tolerance(self) -> bool:
        return abs(self.error) <= TOLERANCE


def solve_width(build: Callable[[float], nn.Module], target: int) -> SolvedWidth:
    """Find the width with which a model's parameter count is closest to `target`.

    The search bisects, then tries widths nearby, because the count need not grow monotonically.
    The result may still miss the target by more than 2 %: see `is_within_tolerance`.

    Args:
        build: builds the model of a width, on the meta device.
        target: number of trainable parameters without embedding tables.

    Raises:
        ValueError: the target is not positive.
    """
    if target < 1:
        raise ValueError(f"a parameter budget must be positive, not {target}")
    params_by_width: dict[float, int] = {}

    def params(width: float) -> int:
        if width not in params_by_width:
            with torch.device("meta"):
                params_by_width[width] = count_parameters(build(width))[0]
        return params_by_width[width]

    low, high = 1.0, 2.0
    while params(high) < target and high < MAX_WIDTH:
        low, high = high, high * 2
    while high - low > 0.01 and abs(_closest(params_by_width, target).error) > MAX_SEARCH_ERROR:
        middle = (low + high) / 2
        low, high = (middle, high) if params(middle) < target else (low, middle)
    if not _closest(params_by_width, target).is_within_tolerance:
        for step in range(-40, 41):
            params(max(1.0, low + step / 40))
    return _closest(params_by_width, target)


def _closest(params_by_width: dict[float, int], target: int) -> SolvedWidth:
    width = min(params_by_width, key=lambda w: (abs(params_by_width[w] - target), w))
    return SolvedWidth(width, params_by_width[width], target)
