"""Baselines of classification: the class frequencies, and logistic regression.

Predictions are log-probabilities (B, K), so the head scores them like those of a model.

Legend: B batch, N samples, F features, K classes.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from quintain.baselines.batches import (
    flatten_features,
    load_features,
    load_targets,
    predict_constant,
)
from quintain.baselines.token_bags import TokenBags
from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.data.scaling import StandardScaler

FEATURE_CS = (0.01, 0.1, 1.0)  # values of C, the inverse L2 penalty, that are tried on features
BAG_CS = (0.01, 0.1, 1.0, 10.0)  # values of C that are tried on bags of tokens
MAX_SEARCH_SAMPLES = 5000  # number of samples that the models of the search for C are fitted to
MAX_ITERATIONS = 100  # of the solver
MIN_PROBABILITY = 1e-9  # of a class that the train split lacks, so that its logarithm is finite


def majority(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the class frequencies of the train split for each sample."""
    y = load_targets(dataset)
    frequency_K = torch.bincount(y, minlength=len(dataset.spec.classes)) / len(y)
    return predict_constant(frequency_K.clamp(min=MIN_PROBABILITY).log())


def linear_classifier(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit multinomial logistic regression to the stem's features, flattened and standardised.

    C is chosen on the validation split. Texts are classified by `bag_of_tokens` instead, because
    the features of their stem are an embedding that is not trained yet.
    """
    if dataset.spec.modality == "text":
        return bag_of_tokens(dataset)
    x_NF, y_N = load_features(dataset, stem, "train")
    scaler = StandardScaler.fit(x_NF)
    x_val, y_val = load_features(dataset, stem, "val")
    x_NF, x_val = scaler.transform(x_NF), scaler.transform(x_val)
    model = _fit_logistic(x_NF.numpy(), y_N, _choose_c(x_NF, y_N, x_val, y_val))
    return lambda batch: _predict_log_probabilities(
        model, scaler.transform(flatten_features(stem, batch)).numpy(), dataset, batch
    )


def bag_of_tokens(dataset: Dataset) -> Predictor:
    """Fit logistic regression to `TokenBags`; C is chosen on the validation split."""
    bags = TokenBags(dataset)
    x, y_N = bags.load("train")
    x_val, y_val = bags.load("val")
    models = [_fit_logistic(x, y_N, c) for c in BAG_CS]
    model = max(models, key=lambda model: float(model.score(x_val, y_val.numpy())))
    return lambda batch: _predict_log_probabilities(model, bags.encode(batch), dataset, batch)


def _choose_c(x_NF: Tensor, y_N: Tensor, x_val: Tensor, y_val: Tensor) -> float:
    """Return the C with the best validation accuracy, the smallest one on a tie."""
    generator = torch.Generator().manual_seed(0)
    indices = torch.randperm(len(x_NF), generator=generator)[:MAX_SEARCH_SAMPLES]
    x, y = x_NF[indices], y_N[indices]
    iterations = MAX_ITERATIONS if x.numel() < 1_000_000 else 30

    def accuracy(c: float) -> float:
        model = _fit_logistic(x.numpy(), y, c, iterations)
        return float(model.score(x_val.numpy(), y_val.numpy()))

    return max(FEATURE_CS, key=accuracy)


def _fit_logistic(x: Any, y_N: Tensor, c: float, iterations: int = MAX_ITERATIONS) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bounded number of steps is wanted
        return LogisticRegression(C=c, max_iter=iterations).fit(x, y_N.numpy())


def _predict_log_probabilities(model: Any, x: Any, dataset: Dataset, batch: Batch) -> Tensor:
    """Return (B, K), where K includes the classes that the train split lacks."""
    probability_BK = torch.zeros(len(batch.x), len(dataset.spec.classes))
    probability_BK[:, torch.as_tensor(model.classes_)] = torch.as_tensor(
        model.predict_proba(x), dtype=torch.float32
    )
    return probability_BK.clamp(min=MIN_PROBABILITY).log().to(batch.x.device)
