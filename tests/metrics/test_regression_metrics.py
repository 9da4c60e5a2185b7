"""R² and errors in original units at any scale, against scikit-learn and counts by hand."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import r2_score
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from quintain.data.scaling import StandardScaler
from quintain.metrics.regression_metrics import R2, in_original_units


def compute_r2(prediction: torch.Tensor, truth: torch.Tensor, parts: int = 2) -> float:
    metric = R2()
    for p, t in zip(prediction.chunk(parts), truth.chunk(parts), strict=True):
        metric.update(p, t)
    return float(metric.compute())


@pytest.mark.parametrize("spread", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("targets", [1, 3])
def test_r2_equals_scikit_learn_at_any_scale(spread: float, targets: int) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = spread * torch.randn(40, targets, generator=generator)
    prediction = truth + 0.1 * spread * torch.randn(40, targets, generator=generator)
    assert compute_r2(prediction, truth) == pytest.approx(r2_score(truth, prediction), rel=1e-5)


def test_r2_of_the_mean_is_zero_and_of_a_perfect_answer_one() -> None:
    truth = torch.arange(10.0)[:, None] * 1e-6
    assert compute_r2(truth.mean().expand(10, 1), truth) == pytest.approx(0, abs=1e-6)
    assert compute_r2(truth, truth) == 1


def test_r2_of_constant_targets_and_of_one_sample_is_not_defined() -> None:
    for constant in (0.0, 0.57, -30.3):
        truth = torch.full((20, 1), constant)
        assert math.isnan(compute_r2(truth + 1, truth))
        assert math.isnan(compute_r2(truth, truth))
    two = torch.stack([torch.arange(20.0), torch.ones(20)], 1)
    assert math.isnan(compute_r2(two + 1, two))
    assert math.isnan(compute_r2(torch.ones(1, 1), torch.zeros(1, 1), parts=1))


class Scaled:
    """A dataset that standardises one target."""

    def __init__(self, values: torch.Tensor) -> None:
        self.scaler = StandardScaler.fit(values)
        self.inverse_transform = self.scaler.inverse_transform


@pytest.mark.parametrize(("factor", "offset"), [(1e-9, 0), (1, 1e8), (1, 1.7e9), (1e20, 0)])
def test_errors_are_in_original_units_at_any_scale(factor: float, offset: float) -> None:
    values = (torch.arange(100.0, dtype=torch.float64)[:, None] % 7) * factor + offset
    data = Scaled(values)
    truth = data.scaler.transform(values)
    prediction = data.scaler.transform(values + 0.1 * factor)
    for metric, power in ((MeanAbsoluteError(), 1), (MeanSquaredError(), 2)):
        wrapped = in_original_units(metric, data)  # type: ignore[arg-type]
        for p, t in zip(prediction.chunk(3), truth.chunk(3), strict=True):
            wrapped.update(p, t)
        assert float(wrapped.compute()) == pytest.approx((0.1 * factor) ** power, rel=1e-4)
        wrapped.reset()
        wrapped.update(truth, truth)
        assert float(wrapped.compute()) == 0
