"""From one real `width` to integer layer sizes, and from a parameter budget to the width.

An architecture whose layers all had `floor(width)` units would grow in leaps: one more unit
everywhere. Two small ideas make it grow finely. `spread` lets the layers take the next unit one
after the other. `inner` gives the hidden layer of a residual block the size that makes *stream ×
inner* follow `width²`, so that the block hardly notices when the stream becomes one wider.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

TOLERANCE = 0.02  # a budget counts as met within ±2 %
NEAR = 0.001  # and nobody needs it closer than this
WIDEST = 65536.0


def spread(width: float, n: int) -> list[int]:
    """n sizes `floor(width + k / n)`, at least 1, whose sum is `floor(n * width)`.

    >>> spread(8.0, 3), spread(8.4, 3), spread(8.7, 3)
    ([8, 8, 8], [8, 8, 9], [8, 9, 9])
    """
    return [max(1, math.floor(width + k / n)) for k in range(n)]


def inner(width: float, stream: int, n: int, *, expand: float = 1.0) -> list[int]:
    """Hidden sizes of n residual blocks on a stream, such that stream × size ≈ expand × width².

    >>> inner(10.0, 10, 2, expand=2.0), inner(10.99, 10, 2, expand=2.0)
    ([20, 20], [24, 24])
    """
    return spread(expand * width * width / stream, n)


def at_least_one(**sizes: float) -> None:
    """Raises ValueError for the first size, named as the user's setting, that is not ≥ 1.

    >>> at_least_one(num_layers=2, width=1.5)
    """
    for name, size in sizes.items():
        if not size >= 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def count(module: nn.Module) -> tuple[int, int]:
    """Trainable parameters without embedding tables, and all trainable parameters.

    A table that an embedding shares with another layer is a table and not counted.
    """
    tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    trainable = [p for p in module.parameters() if p.requires_grad]
    return (
        sum(p.numel() for p in trainable if id(p) not in tables),
        sum(p.numel() for p in trainable),
    )


@dataclass(frozen=True)
class Width:
    """The width that came closest to a target, and the count of parameters it gives."""

    width: float
    params: int
    target: int

    @property
    def error(self) -> float:
        """Signed distance from the target as a share of it; 0 where there is none."""
        return 0.0 if self.target == 0 else self.params / self.target - 1

    @property
    def met(self) -> bool:
        """Within ±2 % of the target?"""
        return abs(self.error) <= TOLERANCE


def solve(build: Callable[[float], nn.Module], target: int) -> Width:
    """The width whose model has closest to `target` parameters (embedding tables not counted).

    Bisection on the meta device, then a look at close neighbours, because a model's count may be
    slightly uneven. Returns the closest even where it is off by more than 2 %: ask `met`.

    Args:
        build: width → module; must work under `torch.device("meta")`.
        target: number of trainable parameters wanted.
    """
    if target < 1:
        raise ValueError(f"a parameter budget must be positive, not {target}")
    seen: dict[float, int] = {}

    def params(width: float) -> int:
        if width not in seen:
            with torch.device("meta"):
                seen[width] = count(build(width))[0]
        return seen[width]

    low, high = _bracket(params, target)
    while high - low > 0.01 and abs(_closest(seen, target).error) > NEAR:
        middle = (low + high) / 2
        low, high = (middle, high) if params(middle) < target else (low, middle)
    if not _closest(seen, target).met:
        for step in range(-40, 41):
            params(max(1.0, low + step / 40))
    return _closest(seen, target)


def _bracket(params: Callable[[float], int], target: int) -> tuple[float, float]:
    """Two widths, one with fewer and one with more parameters than the target, if there are."""
    low, high = 1.0, 2.0
    while params(high) < target and high < WIDEST:
        low, high = high, high * 2
    return low, high


def _closest(seen: dict[float, int], target: int) -> Width:
    width = min(seen, key=lambda w: (abs(seen[w] - target), w))
    return Width(width, seen[width], target)
