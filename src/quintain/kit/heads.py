"""What heads share: a check of the task, a summary of a sample, and metrics in other units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from quintain.contracts import DataSpec, Features, Task
from quintain.kit.mask import keep, last_valid, masked_mean


def check_task(spec: DataSpec, task: Task) -> None:
    """Raise ValueError where the dataset asks for another task than the head serves."""
    if spec.task != task:
        raise ValueError(
            f"head={task} cannot serve dataset {spec.name}, whose task is {spec.task}; "
            f"try head={spec.task}"
        )


class Summary(nn.Module):
    """(B, *grid, dim), mask → (B, 2 · dim): the mean over all real positions, the last real step.

    The mean suits convolutions and attention; the last step is where a recurrent net has read all.
    Of a grid with more axes, the last step along the first is averaged over the others.
    """

    def __init__(self, inp: Features) -> None:
        super().__init__()
        self.dim = 2 * inp.dim

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        last = last_valid(keep(x, mask), mask)
        last_BD = last if last.dim() == 2 else last.flatten(1, -2).mean(1)
        return torch.cat([masked_mean(x, mask), last_BD], dim=-1)


class Bits(MeanMetric):
    """A mean of nats, told in bits."""

    def compute(self) -> Tensor:
        return super().compute() / math.log(2)


class Perplexity(MeanMetric):
    """exp of a mean of nats: as uncertain as a fair choice among so many tokens."""

    def compute(self) -> Tensor:
        return super().compute().exp()
