"""The free rows of every dataset: how far chance, habit and a linear model come.

Each is fitted on the train split and predicts in the format of the head's `__call__`, so that
`head.update(metrics, prediction, batch)` scores it like a model.

Legend: B batch, T steps, D features, K classes, V vocabulary, Z horizon, C channels, F = T·D.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Batch, Dataset, DataSpec, Predictor, Skip, Split, Stem
from quintain.kit.mask import keep, last_valid, mask_of

TINY = 1e-6  # standard deviation below which a feature counts as constant
PENALTIES, SEARCHED = (0.01, 0.1, 1.0), 5000  # C, and the samples on which it is chosen
RIDGE = (1.0, 10.0, 100.0, 1000.0, 10000.0)  # penalties tried on standardised features
RARE = 1e-9  # probability of a class that the train split lacks; its logarithm stays finite


def batches(dataset: Dataset, split: Split, batch_size: int = 256) -> Iterator[Batch]:
    """All samples of a split, in order; the last batch may be smaller."""
    for some in torch.split(torch.arange(dataset.size(split)), batch_size):
        yield dataset.take(split, some)


def last_value(batch: Batch) -> Tensor:
    """The last real step of `x`: (B, T, C) → (B, C)."""
    return last_valid(batch.x, _mask(batch))


def majority(dataset: Dataset, stem: Stem) -> Predictor:
    """Log-probabilities (B, K) of the classes in the train split, the same for each sample."""
    y = torch.cat([batch.y for batch in batches(dataset, "train")])
    share_K = torch.bincount(y, minlength=len(dataset.spec.classes)) / len(y)
    log_K = share_K.clamp(min=RARE).log()
    return lambda batch: log_K.to(batch.x.device).expand(len(batch.x), -1)


def linear_classifier(dataset: Dataset, stem: Stem) -> Predictor:
    """Multinomial logistic regression on the stem's features, flattened and standardised.

    Log-probabilities (B, K). The L2 penalty is chosen on the validation split. Of text, whose
    stem is not trained here, the features are the tokens: see `bag_of_tokens`.
    """
    if dataset.spec.modality == "text":
        from quintain.kit.references.text import bag_of_tokens  # it reads batches from here

        return bag_of_tokens(dataset, stem)
    x_NF, y_N = _all_flat(dataset, stem, "train")
    mean_F, scale_F = x_NF.mean(0), _scale(x_NF)
    x_val, y_val = _all_flat(dataset, stem, "val")
    x_NF, x_val = (x_NF - mean_F) / scale_F, (x_val - mean_F) / scale_F
    model = _logistic(x_NF, y_N, _penalty(x_NF, y_N, x_val, y_val), 100)
    present_K = torch.as_tensor(model.classes_)

    def predict(batch: Batch) -> Tensor:
        x_BF = (_flat(stem, batch) - mean_F) / scale_F
        found = torch.as_tensor(model.predict_proba(x_BF.numpy()), dtype=torch.float32)
        share_BK = torch.zeros(len(x_BF), len(dataset.spec.classes))
        share_BK[:, present_K] = found
        return share_BK.clamp(min=RARE).log().to(batch.x.device)

    return predict


def mean_target(dataset: Dataset, stem: Stem) -> Predictor:
    """The mean of the train split, the same for each sample: (B, targets)."""
    y = torch.cat([batch.y for batch in batches(dataset, "train")])
    mean_K = y.mean(0)
    return lambda batch: mean_K.to(batch.x.device).expand(len(batch.x), -1)


def linear_regression(dataset: Dataset, stem: Stem) -> Predictor:
    """Ridge regression on the stem's features, flattened and standardised: (B, targets).

    The penalty is chosen on the validation split.
    """
    x_NF, y_NK = _all_flat(dataset, stem, "train")
    mean_F, scale_F = x_NF.mean(0), _scale(x_NF)
    x_val, y_val = _all_flat(dataset, stem, "val")
    model = _ridge_of((x_NF - mean_F) / scale_F, y_NK, (x_val - mean_F) / scale_F, y_val)

    def predict(batch: Batch) -> Tensor:
        x_BF = (_flat(stem, batch) - mean_F) / scale_F
        said = torch.as_tensor(model.predict(x_BF.numpy()), dtype=torch.float32)
        return said.reshape(len(x_BF), -1).to(batch.x.device)

    return predict


def persistence(dataset: Dataset, stem: Stem) -> Predictor:
    """Nothing changes: the last value at each step ahead (B, Z, C)."""
    horizon, targets = dataset.spec.horizon, _targets(dataset.spec)
    return lambda batch: last_value(batch)[:, None, :targets].expand(-1, horizon, -1)


def seasonal_naive(dataset: Dataset, stem: Stem) -> Predictor:
    """The value one season before, (B, Z, C); longer horizons repeat the last season seen.

    Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 3rd edition, section 5.2.
    """
    spec = dataset.spec
    if not 0 < spec.season <= spec.shape[0] or spec.ragged:
        raise Skip(_no_season(spec))
    back_Z = -spec.season + torch.arange(spec.horizon) % spec.season
    targets = _targets(spec)
    return lambda batch: batch.x[:, back_Z.to(batch.x.device) + batch.x.shape[1], :targets]


def linear_forecast(dataset: Dataset, stem: Stem) -> Predictor:
    """Ridge regression from the steps seen to those ahead, one for each channel: (B, Z, C).

    Both sides are taken less the last value (NLinear, Zeng et al. 2023); the penalty is 1 on
    standardised values, the bias is free.
    """
    if dataset.spec.ragged:
        raise Skip("a linear forecast needs samples of equal length")
    weight_CTZ, bias_CZ = _ridge(lambda: _changes(dataset))

    targets = _targets(dataset.spec)

    def predict(batch: Batch) -> Tensor:
        last_BC = last_value(batch)[:, :targets]
        x_BTC = (batch.x[..., :targets] - last_BC[:, None]).cpu().double()
        change_BZC = torch.einsum("btc,ctz->bzc", x_BTC, weight_CTZ) + bias_CZ.T
        return last_BC[:, None] + change_BZC.to(batch.x)

    return predict


def _mask(batch: Batch) -> Tensor | None:
    return None if batch.lengths is None else mask_of(batch.lengths, batch.x.shape[1])


@torch.no_grad()
def _flat(stem: Stem, batch: Batch) -> Tensor:
    """The stem's features of a batch on the CPU, zero behind the mask, flattened: (B, F)."""
    x, mask = stem(batch.x, batch.lengths)
    x = keep(x, mask)
    if mask is not None:  # a batch is cut to its own longest sample
        x = functional.pad(x, (0, 0) * (x.dim() - 2) + (0, stem.out.grid[0] - x.shape[1]))
    return x.flatten(1).float().cpu()


def _all_flat(dataset: Dataset, stem: Stem, split: Split) -> tuple[Tensor, Tensor]:
    parts = [(_flat(stem, batch), batch.y) for batch in batches(dataset, split)]
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def _penalty(x_NF: Tensor, y_N: Tensor, x_val: Tensor, y_val: Tensor) -> float:
    """The C with the best validation accuracy, the smaller on a tie; on a part of large data."""
    draw = torch.Generator().manual_seed(0)
    some = torch.randperm(len(x_NF), generator=draw)[:SEARCHED]
    x, y = x_NF[some], y_N[some]
    steps = 100 if x.numel() < 1_000_000 else 30

    def accuracy(c: float) -> float:
        return float(_logistic(x, y, c, steps).score(x_val.numpy(), y_val.numpy()))

    return max(PENALTIES, key=accuracy)


def _logistic(x_NF: Tensor, y_N: Tensor, c: float, steps: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # bounded on purpose
        return LogisticRegression(C=c, max_iter=steps).fit(x_NF.numpy(), y_N.numpy())


def _ridge_of(x_NF: Tensor, y_NK: Tensor, x_val: Tensor, y_val: Tensor) -> Any:
    from sklearn.linear_model import Ridge

    def error(penalty: float) -> float:
        said = Ridge(penalty).fit(x_NF.numpy(), y_NK.numpy()).predict(x_val.numpy())
        return float((torch.as_tensor(said).reshape(y_val.shape) - y_val).square().mean())

    return Ridge(min(RIDGE, key=error)).fit(x_NF.numpy(), y_NK.numpy())


def _scale(x_NF: Tensor) -> Tensor:
    deviation_F = x_NF.std(0, correction=0)
    return torch.where(deviation_F > TINY, deviation_F, 1.0)


def _targets(spec: DataSpec) -> int:
    return len(spec.targets) or spec.shape[-1]


def _no_season(spec: DataSpec) -> str:
    if spec.ragged:
        return "a seasonal forecast needs samples of equal length"
    if spec.season <= 0:
        return f"{spec.name} has no season"
    return f"one season is {spec.season} steps, and a sample shows only {spec.shape[0]}"


def _changes(dataset: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    """x (B, T, C) and y (B, Z, C) of the train split less the last value of x, in float64."""
    for batch in batches(dataset, "train"):
        targets = batch.y.shape[-1]
        last_B1C = last_value(batch)[:, None, :targets].double()
        yield batch.x[..., :targets].double() - last_B1C, batch.y.double() - last_B1C


def _ridge(
    data: Callable[[], Iterator[tuple[Tensor, Tensor]]], penalty: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Weights (C, T, Z) and biases (C, Z) that minimise |y − xW − b|² + penalty · |W|²."""
    total = sum(len(x) for x, _ in data())
    x_TC = torch.stack([x.sum(0) for x, _ in data()]).sum(0) / total
    y_ZC = torch.stack([y.sum(0) for _, y in data()]).sum(0) / total
    xx_CTT, xy_CTZ = torch.tensor(0.0), torch.tensor(0.0)
    for x_BTC, y_BZC in data():  # centred first: then the bias drops out of the equations
        x_BTC, y_BZC = x_BTC - x_TC, y_BZC - y_ZC
        xx_CTT = xx_CTT + torch.einsum("btc,bsc->cts", x_BTC, x_BTC)
        xy_CTZ = xy_CTZ + torch.einsum("btc,bzc->ctz", x_BTC, y_BZC)
    eye_TT = torch.eye(x_TC.shape[0], dtype=torch.float64)
    weight_CTZ = torch.linalg.solve(xx_CTT + penalty * eye_TT, xy_CTZ)
    return weight_CTZ, y_ZC.T - torch.einsum("tc,ctz->cz", x_TC, weight_CTZ)
