"""Metrics of real values: R², and errors in the original units of a dataset."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric, R2Score
from torchmetrics.wrappers import LambdaInputTransformer

from quintain.contracts import Dataset


class R2(R2Score):
    """The coefficient of determination; NaN for a single sample, which has no variance."""

    def compute(self) -> Tensor:
        if self.total < 2:
            return torch.full((), math.nan, device=self.total.device)
        return super().compute()


def in_original_units(metric: Metric, dataset: Dataset) -> Metric:
    """Wrap a metric so that predictions and targets are first mapped back to original units."""
    return LambdaInputTransformer(metric, dataset.inverse_transform, dataset.inverse_transform)
