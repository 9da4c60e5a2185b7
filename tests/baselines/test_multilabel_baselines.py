"""Baselines of multi-label classification, text regression and neighbours against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_absolute_error
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from quintain.baselines.multilabel import (
    label_frequencies,
    linear_multilabel,
    nearest_multilabel,
)
from quintain.baselines.regress import linear_regression, nearest_mean
from quintain.contracts import Batch, DataSpec, Split, Task
from quintain.data.base import InMemory

SIZES: dict[Split, int] = {"train": 300, "val": 80, "test": 90}


class Samples(InMemory):
    """Images whose labels or values depend on their brightness and on single pixels."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            DataSpec(name="samples", modality="image", task=task, shape=(1, 4, 4),
                     classes=("bright", "left", "never"), targets=("brightness", "left"))
        )  # fmt: skip

    def load(self) -> dict[Split, Batch]:
        return {split: self._draw(size, seed) for seed, (split, size) in enumerate(SIZES.items())}

    def _draw(self, size: int, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(size, 1, 4, 4, generator=generator)
        values = torch.stack([x.flatten(1).mean(1), x[:, 0, 0, 0]], 1)
        if self.spec.task == "regress":
            return Batch(x, (values - 0.5) / 0.2)
        return Batch(x, torch.cat([(values > 0.5).float(), torch.zeros(size, 1)], 1))


class Words(InMemory):
    """Texts whose value is the number of 5s less the number of 6s; other words are noise."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            DataSpec(name="words", modality="text", task=task, shape=(12,), vocabulary=300,
                     targets=("value",), classes=("five", "pair"), ragged=True)
        )  # fmt: skip

    def load(self) -> dict[Split, Batch]:
        return {split: self._draw(size, seed) for seed, (split, size) in enumerate(SIZES.items())}

    def _draw(self, size: int, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randint(5, 40, (size, 12), generator=generator)
        lengths = torch.randint(7, 13, (size,), generator=generator)
        x = x.masked_fill(torch.arange(12) >= lengths[:, None], 0)
        five, six = (x == 5).sum(1), (x == 6).sum(1)
        if self.spec.task == "regress":
            return Batch(x, (five - six).float()[:, None], lengths)
        pair = ((x[:, :-1] == 7) | (x[:, 1:] == 8)).any(1)
        return Batch(x, torch.stack([five > 0, pair], 1).float(), lengths)


def identity_stem(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
    return x.flatten(2), None


def no_stem(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
    raise AssertionError("baselines of texts need no stem")


def load_split(data: InMemory, split: Split) -> Batch:
    data.setup()
    return data.batch(split, torch.arange(SIZES[split]))


def to_strings(batch: Batch) -> list[str]:
    assert batch.lengths is not None
    rows = zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
    return [" ".join(f"w{token}" for token in row[:length]) for row, length in rows]


def test_label_frequencies_are_those_of_the_train_split() -> None:
    data = Samples("multilabel")
    y = load_split(data, "train").y
    got = label_frequencies(data, identity_stem)(load_split(data, "test")).sigmoid()  # type: ignore[arg-type]
    assert got.shape == (90, 3)
    assert got[0].tolist() == pytest.approx(y.mean(0).tolist(), abs=0.005)


def fit_one_by_one(x: np.ndarray, batch: Batch, c: float) -> list[LogisticRegression]:
    """Return a model for each label that occurs."""
    return [
        LogisticRegression(C=c, max_iter=1000, tol=1e-8).fit(x, column)
        for column in batch.y.T.numpy()
        if column.any()
    ]


def mean_loss(models: list[LogisticRegression], x: np.ndarray, batch: Batch) -> float:
    pairs = zip(models, batch.y.T.numpy(), strict=False)
    return float(np.mean([log_loss(y, m.predict_proba(x), labels=[0, 1]) for m, y in pairs]))


def test_linear_labels_of_features_equal_scikit_learn() -> None:
    data = Samples("multilabel")
    train, val, test = (load_split(data, split) for split in SIZES)
    scaler = StandardScaler().fit(train.x.flatten(1))
    x, x_val, x_test = (scaler.transform(batch.x.flatten(1)) for batch in (train, val, test))
    fitted = [fit_one_by_one(x, train, c) for c in (0.001, 0.01, 0.1, 1.0)]
    models = min(fitted, key=lambda models: mean_loss(models, x_val, val))
    expected = np.stack([model.decision_function(x_test) for model in models], 1)
    got = linear_multilabel(data, identity_stem)(test)  # type: ignore[arg-type]
    assert got[:, :2].numpy() == pytest.approx(expected, abs=0.02)
    assert (got[:, 2].sigmoid() < 0.01).all()


def test_linear_labels_of_texts_equal_scikit_learns_bag_of_words() -> None:
    data = Words("multilabel")
    train, val, test = (load_split(data, split) for split in SIZES)
    bag = CountVectorizer(ngram_range=(1, 2), binary=True)
    x = bag.fit_transform(to_strings(train))
    x_val, x_test = (bag.transform(to_strings(batch)) for batch in (val, test))
    fitted = [fit_one_by_one(x, train, c) for c in (0.01, 0.1, 1.0, 10.0)]
    models = min(fitted, key=lambda models: mean_loss(models, x_val, val))
    expected = np.stack([model.decision_function(x_test) for model in models], 1)
    got = linear_multilabel(data, no_stem)(test)  # type: ignore[arg-type]
    assert got.numpy() == pytest.approx(expected, abs=0.05)


def test_the_linear_baseline_of_text_regression_is_a_ridge_on_a_bag_of_words() -> None:
    data = Words("regress")
    train, val, test = (load_split(data, split) for split in SIZES)
    bag, tfidf = CountVectorizer(ngram_range=(1, 2), binary=True), TfidfTransformer()
    x = tfidf.fit_transform(bag.fit_transform(to_strings(train)))
    x_val, x_test = (tfidf.transform(bag.transform(to_strings(b))) for b in (val, test))
    models = [Ridge(penalty).fit(x, train.y.numpy()) for penalty in (0.03, 0.1, 0.3, 1, 3, 10)]
    model = min(
        models, key=lambda m: ((m.predict(x_val).ravel() - val.y[:, 0].numpy()) ** 2).mean()
    )
    got = linear_regression(data, no_stem)(test)  # type: ignore[arg-type]
    assert got.numpy().ravel() == pytest.approx(model.predict(x_test).ravel(), abs=1e-3)
    error = mean_absolute_error(test.y.numpy(), got.numpy())
    assert error < 0.6 * float((test.y - train.y.mean()).abs().mean())


@pytest.mark.parametrize("task", ["regress", "multilabel"])
def test_nearest_samples_equal_scikit_learns_neighbours(task: Task) -> None:
    data = Samples(task)
    train, val, test = (load_split(data, split) for split in SIZES)
    mean = train.x.flatten(1).mean(0)
    x, x_val, x_test = ((batch.x.flatten(1) - mean).numpy() for batch in (train, val, test))
    prior = (train.y.numpy().sum(0) + 0.5) / 301

    def predict(count: int, x_new: np.ndarray) -> np.ndarray:
        model = KNeighborsRegressor(count)
        mean_y = model.fit(x, train.y.numpy()).predict(x_new)
        return mean_y if task == "regress" else (count * mean_y + prior) / (count + 1)

    def error(count: int) -> float:
        p, y = predict(count, x_val), val.y.numpy()
        loss = (p - y) ** 2 if task == "regress" else -(y * np.log(p) + (1 - y) * np.log(1 - p))
        return float(loss.mean())

    expected = predict(min((1, 3, 10, 30), key=error), x_test)
    baseline = nearest_mean if task == "regress" else nearest_multilabel
    got = baseline(data, identity_stem)(test)  # type: ignore[arg-type]
    got = got if task == "regress" else got.sigmoid()
    assert got.numpy() == pytest.approx(expected, abs=1e-4)
