"""Baselines of multi-label classification: label frequencies, logistic regression, neighbours.

Predictions are logits (B, K), so the head scores them like those of a model.

Legend: B batch, N samples, F features, K labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
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

FEATURE_CS = (0.001, 0.01, 0.1, 1.0)  # values of C, the inverse L2 penalty, tried on features
BAG_CS = (0.01, 0.1, 1.0, 10.0)  # values of C that are tried on bags of tokens
MAX_SEARCH_SAMPLES = 5000  # number of samples that the models of the search for C are fitted to
MAX_ITERATIONS = 200  # of the solver
MAX_WEIGHTS = 2**22  # of all labels; the solver keeps twenty copies as float64, 640 MiB


def label_frequencies(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the frequency of each label in the train split for every sample."""
    return predict_constant(torch.logit(_smooth_frequencies(load_targets(dataset))))


def linear_multilabel(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit one logistic regression per label, with one C for all, chosen on the validation split.

    The features are `TokenBags` of texts; otherwise those of the stem, flattened and standardised.
    """
    if dataset.spec.modality == "text":
        bags = TokenBags(dataset, max(1, MAX_WEIGHTS // len(dataset.spec.classes)))
        model = _fit_logistic(*bags.load("train"), *bags.load("val"), BAG_CS)
        return lambda batch: _predict_logits(model, bags.encode(batch), batch)
    x_NF, y_NK = load_features(dataset, stem, "train")
    scaler = StandardScaler.fit(x_NF)
    x_val_NF, y_val = load_features(dataset, stem, "val")
    x, x_val = scaler.transform(x_NF).numpy(), scaler.transform(x_val_NF).numpy()
    model = _fit_logistic(x, y_NK, x_val, y_val, FEATURE_CS)
    return lambda batch: _predict_logits(
        model, scaler.transform(flatten_features(stem, batch)).numpy(), batch
    )


def nearest_multilabel(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the share of the nearest train samples that have each label; see `fit_nearest`.

    The label's frequency counts as one more sample, so that no probability is 0 or 1.
    """
    frequency_K = _smooth_frequencies(load_targets(dataset))

    def combine(y_BMK: Tensor) -> Tensor:
        return torch.logit((y_BMK.sum(1) + frequency_K) / (y_BMK.shape[1] + 1))

    return fit_nearest(dataset, stem, combine, functional.binary_cross_entropy_with_logits)


def _smooth_frequencies(y_NK: Tensor) -> Tensor:
    """Return the frequency of each label, with half a sample more with and without it."""
    return (y_NK.sum(0) + 0.5) / (len(y_NK) + 1)


def _fit_logistic(
    x: Any, y_NK: Tensor, x_val: Any, y_val: Tensor, cs: tuple[float, ...]
) -> tuple[Any, Any]:
    """Return weights (F, K) and biases (K,); C has the smallest validation loss."""
    y, generator = y_NK.double().numpy(), torch.Generator().manual_seed(0)
    rows = torch.randperm(len(y), generator=generator)[:MAX_SEARCH_SAMPLES].numpy()

    def validation_loss(c: float) -> float:
        weight_FK, bias_K = _minimize(x[rows], y[rows], c)
        logits = torch.as_tensor(x_val @ weight_FK + bias_K)
        return float(functional.binary_cross_entropy_with_logits(logits, y_val.double()))

    return _minimize(x, y, min(cs, key=validation_loss))


def _minimize(x: Any, y: Any, c: float) -> tuple[Any, Any]:
    """Minimise C times the sum of the binary cross-entropies plus |W|² / 2.

    This is scikit-learn's objective for each label. All labels are fitted together, because one
    product of matrices for 88 labels is much faster than 88 products with vectors; it is computed
    in float32, because numpy would convert x in each step otherwise.
    """
    shape, x = (x.shape[1] + 1, y.shape[1]), x.astype(np.float32)

    def loss_and_gradient(flat: Any) -> tuple[float, Any]:
        weight_FK, bias_K = flat.reshape(shape)[:-1], flat.reshape(shape)[-1]
        logits = x @ weight_FK.astype(np.float32) + bias_K
        loss = c * (np.logaddexp(0, logits) - y * logits).sum() + (weight_FK**2).sum() / 2
        error = c * (expit(logits) - y)
        gradient_FK = x.T @ error.astype(np.float32) + weight_FK
        return loss, np.vstack([gradient_FK, error.sum(0)]).ravel()

    options: Any = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS}
    result = minimize(
        loss_and_gradient, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options
    )
    best = result.x.reshape(shape)
    return best[:-1], best[-1]


def _predict_logits(model: tuple[Any, Any], x: Any, batch: Batch) -> Tensor:
    weight_FK, bias_K = model
    return torch.as_tensor(x @ weight_FK + bias_K, dtype=torch.float32).to(batch.x.device)
