"""What heads share: a check of the task, a summary of a sample, and metrics in other units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchmetrics import Metric, R2Score

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
    Of a grid with more axes, the last step along the first is averaged over the others. Of a single
    position there is nothing to summarise: (B, 1, dim) → (B, dim).
    """

    def __init__(self, inp: Features) -> None:
        super().__init__()
        self.single = inp.grid == (1,)
        self.dim = inp.dim if self.single else 2 * inp.dim

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.single:
            return masked_mean(x, mask)
        last = last_valid(keep(x, mask), mask)
        last_BD = last if last.dim() == 2 else last.flatten(1, -2).mean(1)
        return torch.cat([masked_mean(x, mask), last_BD], dim=-1)


class R2(R2Score):
    """The coefficient of determination; NaN of a single sample, which has no variance."""

    def compute(self) -> Tensor:
        """At most 1, or NaN."""
        if self.total < 2:
            return torch.full((), math.nan, device=self.total.device)
        return super().compute()


class Nats(Metric):
    """Mean cross-entropy of tokens; a NaN stays a NaN.

    Not torchmetrics' `MeanMetric`: 1.9 drops NaNs from the mean, and with `nan_strategy="disable"`
    it drops the weights.
    """

    full_state_update = False
    total: Tensor
    tokens: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, mean_nats: Tensor, y_N: Tensor) -> None:
        """Add a batch: its mean and the tokens that the mean is of."""
        self.total += mean_nats * y_N.numel()
        self.tokens += y_N.numel()

    def compute(self) -> Tensor:
        """Nats a token."""
        return self.total / self.tokens


class BitsPerCharacter(Nats):
    """The same in bits, over the characters of the tokens.

    Args:
        sizes: characters of each token type.
    """

    characters: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = torch.tensor(sizes)
        self.add_state("characters", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, mean_nats: Tensor, y_N: Tensor) -> None:
        """Add a batch."""
        super().update(mean_nats, y_N)
        self.characters += self.sizes.to(y_N.device)[y_N].sum()

    def compute(self) -> Tensor:
        """Bits a character."""
        return self.total / math.log(2) / self.characters


class Perplexity(Nats):
    """exp of the same: as uncertain as a fair choice among so many tokens."""

    def compute(self) -> Tensor:
        """Number of tokens."""
        return super().compute().exp()
