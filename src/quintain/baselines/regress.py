"""Baselines of regression: the mean target, ridge regression, and the nearest samples.

Legend: B batch, N samples, F features, K targets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from quintain.baselines.batches import (
    flatten_features,
    load_features,
    load_targets,
    predict_constant,
)
from quintain.baselines.neighbours import fit_nearest
from quintain.baselines.token_bags import TokenBags
from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.data.scaling import StandardScaler

PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)  # L2 penalties that are tried on features
BAG_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # L2 penalties that are tried on bags of tokens


def mean_target(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the mean target of the train split for each sample: (B, K)."""
    return predict_constant(load_targets(dataset).mean(0))


def linear_regression(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit ridge regression to the stem's features, flattened and standardised: (B, K).

    The penalty is chosen on the validation split. Texts are read by `_linear_regression_of_texts`
    instead, because the features of their stem are an embedding that is not trained yet.
    """
    if dataset.spec.modality == "text":
        return _linear_regression_of_texts(dataset)
    x_NF, y_NK = load_features(dataset, stem, "train")
    scaler = StandardScaler.fit(x_NF)
    x_val_NF, y_val = load_features(dataset, stem, "val")
    x, x_val = scaler.transform(x_NF).numpy(), scaler.transform(x_val_NF).numpy()
    model = _fit_ridge(x, y_NK, x_val, y_val, PENALTIES)
    return lambda batch: _predict(
        model, scaler.transform(flatten_features(stem, batch)).numpy(), batch
    )


def nearest_mean(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the mean target of the nearest train samples, (B, K); see `fit_nearest`."""
    return fit_nearest(dataset, stem, lambda y_BMK: y_BMK.mean(1), functional.mse_loss)


def _linear_regression_of_texts(dataset: Dataset) -> Predictor:
    """Fit ridge regression to tf-idf of `TokenBags`; validation chooses the penalty."""
    from sklearn.feature_extraction.text import TfidfTransformer

    bags, tfidf = TokenBags(dataset), TfidfTransformer()
    x, y_NK = bags.load("train")
    x_val, y_val = bags.load("val")
    x = tfidf.fit_transform(x)
    model = _fit_ridge(x, y_NK, tfidf.transform(x_val), y_val, BAG_PENALTIES)
    return lambda batch: _predict(model, tfidf.transform(bags.encode(batch)), batch)


def _fit_ridge(
    x: Any, y_NK: Tensor, x_val: Any, y_val: Tensor, penalties: tuple[float, ...]
) -> Any:
    """Fit to dense or sparse features (N, F); the penalty has the smallest validation error."""
    from sklearn.linear_model import Ridge

    def validation_error(penalty: float) -> float:
        y = Ridge(penalty).fit(x, y_NK.numpy()).predict(x_val)
        return float((torch.as_tensor(y).reshape(y_val.shape) - y_val).square().mean())

    return Ridge(min(penalties, key=validation_error)).fit(x, y_NK.numpy())


def _predict(model: Any, x: Any, batch: Batch) -> Tensor:
    y = torch.as_tensor(model.predict(x), dtype=torch.float32)
    return y.reshape(len(batch.x), -1).to(batch.x.device)
