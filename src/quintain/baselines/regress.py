"""Baselines of regression: the mean target, and ridge regression.

Legend: B batch, N samples, F features, K targets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from quintain.baselines.batches import (
    flatten_features,
    load_features,
    load_targets,
    predict_constant,
)
from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.data.scaling import StandardScaler

PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)  # values of the L2 penalty that are tried


def mean_target(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the mean target of the train split for each sample: (B, K)."""
    return predict_constant(load_targets(dataset).mean(0))


def linear_regression(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit ridge regression to the stem's features, flattened and standardised: (B, K).

    The penalty is chosen on the validation split.
    """
    x_NF, y_NK = load_features(dataset, stem, "train")
    scaler = StandardScaler.fit(x_NF)
    x_val, y_val = load_features(dataset, stem, "val")
    model = _fit_ridge(scaler.transform(x_NF), y_NK, scaler.transform(x_val), y_val)

    def predict(batch: Batch) -> Tensor:
        x_BF = scaler.transform(flatten_features(stem, batch))
        y = torch.as_tensor(model.predict(x_BF.numpy()), dtype=torch.float32)
        return y.reshape(len(x_BF), -1).to(batch.x.device)

    return predict


def _fit_ridge(x_NF: Tensor, y_NK: Tensor, x_val: Tensor, y_val: Tensor) -> Any:
    from sklearn.linear_model import Ridge

    def validation_error(penalty: float) -> float:
        y = Ridge(penalty).fit(x_NF.numpy(), y_NK.numpy()).predict(x_val.numpy())
        return float((torch.as_tensor(y).reshape(y_val.shape) - y_val).square().mean())

    return Ridge(min(PENALTIES, key=validation_error)).fit(x_NF.numpy(), y_NK.numpy())
