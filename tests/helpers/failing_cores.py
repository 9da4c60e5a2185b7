"""Cores whose predictions or steps go wrong, for tests of runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from quintain.contracts import Features
from quintain.plan.cell import Cell


class LinearCore(nn.Module):
    """A linear map of each position; counts the batches of training and of evaluation."""

    input_layout = "sequence"

    def __init__(self, inp: Features, *, width: float = 6.0) -> None:
        super().__init__()
        self.map = nn.Linear(inp.dim, int(width))
        self.out = replace(inp, dim=int(width))
        self.trained = self.evaluated = 0

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not x.is_meta:
            self.trained += self.training
            self.evaluated += not self.training
            x = self.change(x)
        return torch.tanh(self.map(x)), mask

    def change(self, x: Tensor) -> Tensor:
        return x


class NanInEvaluation(LinearCore):
    """Returns NaN for two samples of the evaluated batches `first` to `last`, counted from 1.

    A decoder, which is another core, stays finite: its inputs have other sizes in each call.
    """

    def __init__(self, inp: Features, *, width: float = 6.0, first: int, last: int = 10**6) -> None:
        super().__init__(inp, width=width)
        self.first, self.last, self.is_decoder = first, last, inp.output_mode == "positions"

    def change(self, x: Tensor) -> Tensor:
        if self.training or not self.first <= self.evaluated <= self.last:
            return x
        is_bad = torch.arange(len(x)).reshape(-1, *[1] * (x.dim() - 1)) < 2
        return torch.where(is_bad, math.nan, x)


class StopsIteration(LinearCore):
    """Raises StopIteration in a training step, in an evaluated batch, or nowhere (0)."""

    def __init__(
        self, inp: Features, *, width: float = 6.0, training: int = 0, evaluation: int = 0
    ) -> None:
        super().__init__(inp, width=width)
        self.at = (training, evaluation)

    def change(self, x: Tensor) -> Tensor:
        count, at = (self.trained, self.at[0]) if self.training else (self.evaluated, self.at[1])
        if count == at:
            next(iter(()))
        return x


def replace_core(cell: Cell, core: Callable[..., Any], **settings: Any) -> Cell:
    """Set the core of a cell to a class of this module, and its hardware to one CPU."""
    cell.config["model"] = {"_target_": f"{__name__}.{core.__name__}", "width": 6.0, **settings}
    cell.config["hardware"] = {"_target_": "quintain.plugins.hardware.cpu.Cpu"}
    return cell


def compile_slowly(graph: Any, inputs: Any) -> Any:
    """A backend of `torch.compile` that takes a second and compiles nothing."""
    time.sleep(1.0)
    return graph.forward


class CompiledCore(LinearCore):
    """Compiles its layer, which takes much longer than a step."""

    def __init__(self, inp: Features, *, width: float = 6.0) -> None:
        super().__init__(inp, width=width)
        self.compiled = torch.compile(nn.Tanh(), backend=compile_slowly, dynamic=True)

    def change(self, x: Tensor) -> Tensor:
        return self.compiled(x)


class UnusedParameter(LinearCore):
    """Has a layer that takes part in no batch."""

    def __init__(self, inp: Features, *, width: float = 6.0) -> None:
        super().__init__(inp, width=width)
        self.spare = nn.Linear(2, 2)


class Raises(LinearCore):
    def change(self, x: Tensor) -> Tensor:
        return undefined_name(x)  # type: ignore[name-defined]  # noqa: F821


class NormalisesBatch(LinearCore):
    def __init__(self, inp: Features, *, width: float = 6.0) -> None:
        super().__init__(inp, width=width)
        self.norm = nn.BatchNorm1d(inp.dim)

    def change(self, x: Tensor) -> Tensor:
        return x + self.norm(x.mean(1))[:, None]
