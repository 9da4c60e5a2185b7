"""Metrics of real values: R², and errors in the original units of a dataset."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric, R2Score
from torchmetrics.wrappers import LambdaInputTransformer

from quintain.contracts import Dataset


class R2(R2Score):
    """The coefficient of determination, 1 - residual sum of squares / total sum of squares.

    It is the mean over targets. It is NaN where it is not defined: for a single sample, and if a
    target is constant. torchmetrics takes sums of squares below 1e-4 for zero.
    """

    def __init__(self) -> None:
        super().__init__()
        _use_float64(self)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add predictions and targets, (B,) or (B, K)."""
        super().update(preds.to(self.residual.dtype), target.to(self.residual.dtype))

    def compute(self) -> Tensor:
        mean = self.sum_error / self.total
        variation = self.sum_squared_error - self.sum_error * mean
        rounding_error = 100 * torch.finfo(variation.dtype).eps * self.sum_squared_error
        if self.total < 2 or bool((variation <= rounding_error).any()):
            return torch.full((), math.nan, device=self.total.device)
        return (1 - self.residual / variation).mean()


def in_original_units(metric: Metric, dataset: Dataset) -> Metric:
    """Wrap a metric so that predictions and targets are first mapped back to original units."""
    _use_float64(metric)
    return LambdaInputTransformer(metric, dataset.inverse_transform, dataset.inverse_transform)


def _use_float64(metric: Metric) -> None:
    """Let a metric add up in float64: squares of numbers above 1e19 overflow in float32."""
    if not torch.backends.mps.is_available():  # Apple's GPUs have no float64
        metric.set_dtype(torch.float64)
