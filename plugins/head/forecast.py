"""The head of forecasting: the next values of each target, as differences from the last value.

Legend: B batch, Z horizon, K targets (the first K channels of x).
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import (
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    SymmetricMeanAbsolutePercentageError,
)

from quintain.baselines.forecast import last_value, linear_forecast, persistence, seasonal_naive
from quintain.contracts import Batch, Dataset, DataSpec, Features, Json, MakeCore, Score
from quintain.metrics.regression_metrics import in_original_units
from quintain.nn.checks import check_task
from quintain.nn.pooling import Summary

Channels = Literal["together", "apart", "auto"]


class Forecast(nn.Module):
    """Adds a linear map of a sample's mean and last valid step to the last value of each target.

    Predictions therefore follow shifts of the level (NLinear, Zeng et al. 2023).

    Args:
        channels: "together": one map predicts all targets. "apart": each target has its own
            features, and the same map is applied to all of them; the series stem needs the same
            setting. "auto" is "apart".

    Raises:
        ValueError: an unknown `channels`, or a dataset without a horizon.
    """

    causal = False
    output_mode = "summary"
    scores = (
        Score(name="mse", direction="min", unit="standardised units²"),
        Score(name="mae", direction="min", unit="standardised units"),
        Score(name="mse_original", direction="min", unit="the data's units²"),
        Score(name="mae_original", direction="min", unit="the data's units"),
        Score(name="smape", direction="min", unit="fraction, 0 to 2"),
    )
    baselines: ClassVar = {
        "persistence": persistence,
        "seasonal_naive": seasonal_naive,
        "linear": linear_forecast,
    }

    def __init__(
        self,
        inp: Features,
        spec: DataSpec,
        make_core: MakeCore | None = None,
        *,
        channels: Channels = "together",
    ) -> None:
        super().__init__()
        check_task(spec, "forecast")
        if channels not in get_args(Channels):
            raise ValueError(f"channels must be together, apart or auto, got {channels!r}")
        if spec.horizon < 1:
            raise ValueError(f"{spec.name} has a horizon of {spec.horizon}; at least 1 is needed")
        self.names = spec.targets
        self.num_channels = len(spec.targets) or spec.shape[-1]
        self.is_apart = channels != "together"
        self.target_shape = (spec.horizon, 1 if self.is_apart else self.num_channels)
        self.summary = Summary(inp)
        self.steps = nn.Linear(self.summary.dim, self.target_shape[0] * self.target_shape[1])

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), or (B · K, *grid, dim) with channels=apart, mask → values (B, Z, K).

        Raises:
            ValueError: the stem and this head have different settings of `channels`.
        """
        change = self.steps(self.summary(x, mask)).unflatten(-1, self.target_shape)
        expected = len(batch.x) * (self.num_channels if self.is_apart else 1)
        if len(change) != expected:
            raise ValueError(
                f"expected {expected} rows of features for {len(batch.x)} samples of "
                f"{self.num_channels} targets, got {len(change)}: give stem.channels and "
                "head.channels the same value"
            )
        if self.is_apart:  # (B · K, Z, 1) → (B, Z, K)
            change = change.squeeze(-1).unflatten(0, (-1, self.num_channels)).transpose(1, 2)
        return last_value(batch)[:, None, : self.num_channels] + change

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error over samples, steps and targets."""
        return F.mse_loss(prediction, batch.y)

    def num_targets(self, batch: Batch) -> int:
        return len(batch.y)

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return errors of standardised values, and of values in original units.

        sMAPE is the mean of 2·|ŷ - y| / (|ŷ| + |y|) (Makridakis 1993, without the factor 100).
        """
        return {
            "mse": MeanSquaredError(),
            "mae": MeanAbsoluteError(),
            "mse_original": in_original_units(MeanSquaredError(), dataset),
            "mae_original": in_original_units(MeanAbsoluteError(), dataset),
            "smape": in_original_units(SymmetricMeanAbsolutePercentageError(), dataset),
        }

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        for metric in metrics.values():
            metric.update(prediction.contiguous(), batch.y.contiguous())

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Return targets and predictions in original units, (Z, K) each."""
        truths, predictions = (
            dataset.inverse_transform(values.cpu()).tolist() for values in (batch.y, prediction)
        )
        return [
            {"truth": truth, "prediction": predicted, "targets": list(self.names)}
            for truth, predicted in zip(truths, predictions, strict=True)
        ]
