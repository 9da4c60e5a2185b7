"""Baselines of forecasting: persistence, seasonal naive, and a ridge regression per channel.

Legend: B batch, T steps of x, Z horizon, C channels (in predictions, the channels to predict), F
features of a regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from quintain.baselines.batches import input_mask, iterate_batches
from quintain.contracts import Batch, Dataset, DataSpec, Predictor, Stem, Unsupported
from quintain.nn.mask import last_valid

Pairs = Iterator[tuple[Tensor, Tensor]]

MAX_FEATURES = 1024  # of a regression on all channels, whose equations need their square


def last_value(batch: Batch) -> Tensor:
    """Return the last valid step of x, (B, C)."""
    return last_valid(batch.x, input_mask(batch))


def persistence(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the last value at each step of the horizon: (B, Z, C)."""
    horizon, targets = dataset.spec.horizon, _num_targets(dataset.spec)
    return lambda batch: last_value(batch)[:, None, :targets].expand(-1, horizon, -1)


def seasonal_naive(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the value of one season earlier, (B, Z, C); longer horizons repeat the last season.

    Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 3rd edition, section 5.2.

    Raises:
        Unsupported: there is no season, x is shorter than a season, or samples differ in length.
    """
    spec = dataset.spec
    if spec.ragged:
        raise Unsupported("a seasonal forecast needs samples of equal length")
    if spec.season <= 0:
        raise Unsupported(f"{spec.name} has no season")
    if spec.season > (steps := spec.shape[0]):
        raise Unsupported(f"one season is {spec.season} steps, and a sample has only {steps}")
    offset_Z = -spec.season + torch.arange(spec.horizon) % spec.season
    targets = _num_targets(spec)
    return lambda batch: batch.x[:, offset_Z.to(batch.x.device) + batch.x.shape[1], :targets]


def linear_forecast(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit, for each target, a ridge regression of the future on the past steps: (B, Z, C).

    The last value is subtracted from both (NLinear, Zeng et al. 2023). Values are standardised, the
    penalty is 1, and the bias is not penalised. If there are channels that are no targets, and not
    too many, a second regression on them too is taken if its validation error is smaller.

    Raises:
        Unsupported: samples differ in length.
    """
    spec = dataset.spec
    if spec.ragged:
        raise Unsupported("a linear forecast needs samples of equal length")
    steps, num_channels = spec.shape
    num_others = num_channels - _num_targets(spec)
    predictors = [_fit_linear(dataset, with_others=False)]
    if num_others and steps * (1 + num_others) <= MAX_FEATURES:
        predictors.append(_fit_linear(dataset, with_others=True))
    if len(predictors) == 1:
        return predictors[0]
    return min(predictors, key=lambda predictor: _compute_error(dataset, predictor))


def _fit_linear(dataset: Dataset, *, with_others: bool) -> Predictor:
    targets = _num_targets(dataset.spec)
    weight_CFZ, bias_CZ = _fit_ridge(lambda: _iterate_differences(dataset, with_others))

    def predict(batch: Batch) -> Tensor:
        last_B1C = last_value(batch)[:, None, :targets]
        x_BTC = (batch.x[..., :targets] - last_B1C).cpu().double()
        x_BFC = _add_others(x_BTC, batch) if with_others else x_BTC
        change_BZC = torch.einsum("bfc,cfz->bzc", x_BFC, weight_CFZ) + bias_CZ.T
        return last_B1C + change_BZC.to(batch.x)

    return predict


def _compute_error(dataset: Dataset, predictor: Predictor) -> float:
    """Return the sum of squared errors on the validation split."""
    batches = iterate_batches(dataset, "val")
    return sum(float((predictor(batch) - batch.y).square().sum()) for batch in batches)


def _add_others(x_BTC: Tensor, batch: Batch) -> Tensor:
    """Return the past of each target, and for all of them that of other channels: (B, F, C)."""
    targets = x_BTC.shape[-1]
    others_BF1 = batch.x[..., targets:].cpu().double().flatten(1)[..., None]
    return torch.cat([x_BTC, others_BF1.expand(-1, -1, targets)], 1)


def _num_targets(spec: DataSpec) -> int:
    return len(spec.targets) or spec.shape[-1]


def _iterate_differences(dataset: Dataset, with_others: bool) -> Pairs:
    """Yield features (B, F, C), and y (B, Z, C) minus x's last value, of the train split."""
    for batch in iterate_batches(dataset, "train"):
        targets = batch.y.shape[-1]
        last_B1C = last_value(batch)[:, None, :targets].double()
        x_BTC = batch.x[..., :targets].double() - last_B1C
        yield _add_others(x_BTC, batch) if with_others else x_BTC, batch.y.double() - last_B1C


def _fit_ridge(pairs: Callable[[], Pairs], penalty: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return weights (C, T, Z) and biases (C, Z) that minimise |y - xW - b|² + penalty · |W|².

    scikit-learn's Ridge would need all windows in memory; the normal equations need only sums.
    """
    total = sum(len(x) for x, _ in pairs())
    x_TC = torch.stack([x.sum(0) for x, _ in pairs()]).sum(0) / total
    y_ZC = torch.stack([y.sum(0) for _, y in pairs()]).sum(0) / total
    xx_CTT, xy_CTZ = torch.tensor(0.0), torch.tensor(0.0)
    for x_BTC, y_BZC in pairs():  # centred values need no bias in the equations
        x_BTC, y_BZC = x_BTC - x_TC, y_BZC - y_ZC
        xx_CTT = xx_CTT + torch.einsum("btc,bsc->cts", x_BTC, x_BTC)
        xy_CTZ = xy_CTZ + torch.einsum("btc,bzc->ctz", x_BTC, y_BZC)
    eye_TT = torch.eye(x_TC.shape[0], dtype=torch.float64)
    weight_CTZ = torch.linalg.solve(xx_CTT + penalty * eye_TT, xy_CTZ)
    return weight_CTZ, y_ZC.T - torch.einsum("tc,ctz->cz", x_TC, weight_CTZ)
