"""The next `horizon` values of every channel, as steps away from the last value seen.

Legend: B batch, T steps seen, Z horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric

from quintain.contracts import Batch, Dataset, DataSpec, Features, MakeCore, Predictor, Score, Stem
from quintain.kit import references
from quintain.kit.heads import Summary, check_task


class Forecast(nn.Module):
    """Last value + a linear map of (mean, last real step); with zero weights it is persistence.

    Subtracting the last value is NLinear's cure for a shifting level (Zeng et al. 2023).
    """

    causal: ClassVar[bool] = False
    per_position: ClassVar[bool] = False
    scores: ClassVar[tuple[Score, ...]] = (
        Score(name="mse", direction="min", unit="standardised units²"),
        Score(name="mae", direction="min", unit="standardised units"),
    )
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "persistence": references.persistence,
        "seasonal_naive": references.seasonal_naive,
        "linear": references.linear_forecast,
    }

    def __init__(self, inp: Features, spec: DataSpec, make_core: MakeCore | None = None) -> None:
        super().__init__()
        check_task(spec, "forecast")
        if spec.horizon < 1:
            raise ValueError(f"{spec.name} asks to forecast {spec.horizon} steps; 1 or more needed")
        self.target = (spec.horizon, spec.shape[-1])
        self.summary = Summary(inp)
        self.steps = nn.Linear(self.summary.dim, self.target[0] * self.target[1])

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → values (B, Z, C)."""
        change_BZC = self.steps(self.summary(x, mask)).unflatten(-1, self.target)
        return references.last_value(batch)[:, None] + change_BZC

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over samples, steps and channels."""
        return F.mse_loss(prediction, batch.y)

    def metrics(self) -> dict[str, Metric]:
        """Mean squared and mean absolute error."""
        return {"mse": MeanSquaredError(), "mae": MeanAbsoluteError()}

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        """Add one batch; every value counts once."""
        for metric in metrics.values():
            metric.update(prediction.reshape(-1), batch.y.reshape(-1))
