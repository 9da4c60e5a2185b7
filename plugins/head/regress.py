"""The head of regression: one or several numbers per sample.

Legend: B batch, K targets.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric

from quintain.baselines.regress import linear_regression, mean_target, nearest_mean
from quintain.contracts import Batch, Dataset, DataSpec, Features, Json, MakeCore, Score
from quintain.metrics.regression_metrics import R2, in_original_units
from quintain.nn.checks import check_task
from quintain.nn.pooling import Summary


class Regress(nn.Module):
    """A linear map of a sample's mean and last valid step to standardised values (B, K)."""

    causal = False
    output_mode = "summary"
    scores = (
        Score(name="mae", direction="min", unit="the target's units"),
        Score(name="rmse", direction="min", unit="the target's units"),
        Score(name="r2", direction="max", unit="fraction"),
    )
    baselines: ClassVar = {
        "mean": mean_target,
        "linear": linear_regression,
        "nearest": nearest_mean,
    }

    def __init__(self, inp: Features, spec: DataSpec, make_core: MakeCore | None = None) -> None:
        super().__init__()
        check_task(spec, "regress")
        if not spec.targets:
            raise ValueError(f"{spec.name} has no targets; regress needs one or more")
        self.names = spec.targets
        self.summary = Summary(inp)
        self.values = nn.Linear(self.summary.dim, len(spec.targets))

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → standardised values (B, K)."""
        return self.values(self.summary(x, mask))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error of standardised values over samples and targets."""
        return F.mse_loss(prediction, batch.y)

    def num_targets(self, batch: Batch) -> int:
        return len(batch.y)

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return errors in original units and R², averaged over targets.

        R² is computed from standardised values, which give the same result with a smaller rounding
        error if the spread of a target is small compared to its mean.
        """
        return {
            "mae": in_original_units(MeanAbsoluteError(), dataset),
            "rmse": in_original_units(MeanSquaredError(squared=False), dataset),
            "r2": R2(),
        }

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        for metric in metrics.values():
            metric.update(prediction.contiguous(), batch.y.contiguous())

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Return targets and predictions by name, in original units."""
        truths, predictions = (
            [dict(zip(self.names, row, strict=True)) for row in rows.tolist()]
            for rows in map(dataset.inverse_transform, (batch.y.cpu(), prediction.cpu()))
        )
        pairs = zip(truths, predictions, strict=True)
        return [{"truth": truth, "prediction": predicted} for truth, predicted in pairs]
