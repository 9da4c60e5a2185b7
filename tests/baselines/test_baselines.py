"""Baselines of several tasks against scikit-learn and values computed by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from quintain.baselines.batches import iterate_batches
from quintain.baselines.classify import linear_classifier, majority
from quintain.baselines.forecast import linear_forecast, persistence, seasonal_naive
from quintain.baselines.next_token import linear_next_token, unigram
from quintain.contracts import Batch, DataSpec, Features, Unsupported
from quintain.plugins.head.classify import Classify
from quintain.plugins.head.forecast import Forecast
from quintain.plugins.head.next_token import NextToken
from quintain.plugins.head.regress import Regress
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, fake_batch

SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}


class FixedDataset:
    """A dataset whose splits are the given batches."""

    def __init__(self, spec, train, test=None):
        self.spec = spec
        self.splits = {"train": train, "val": test or train, "test": test or train}

    def size(self, split):
        return len(self.splits[split].x)

    def batch(self, split, indices):
        return Batch(*(None if t is None else t[indices] for t in self.splits[split]))


def fake_dataset(name, size=300, test=40):
    spec = SPECS[name]
    return FixedDataset(spec, fake_batch(spec, size), fake_batch(spec, test, seed=1))


def identity_stem(x, lengths):
    """Return the data as features, without a mask."""
    return x.flatten(2) if x.dim() > 2 else x[..., None], None


def test_iterate_batches_yields_each_sample_once_in_order():
    data = fake_dataset("example_series", size=10)
    sizes, parts = zip(*((len(b.x), b.x) for b in iterate_batches(data, "train", 4)), strict=True)
    assert sizes == (4, 4, 2)
    assert torch.equal(torch.cat(parts), data.splits["train"].x)


def test_majority_equals_scikit_learns_dummy():
    data = fake_dataset("example_image")
    train, test = data.splits["train"], data.splits["test"]
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(train.y), 1)), train.y)
    expected = dummy.predict_log_proba(np.zeros((len(test.y), 1)))
    assert majority(data, identity_stem)(test).numpy() == pytest.approx(expected, rel=1e-5)


def test_linear_classifier_equals_scikit_learn():
    data = fake_dataset("example_image")
    train, test = data.splits["train"], data.splits["test"]
    scaler = StandardScaler().fit(train.x.flatten(1))
    x = scaler.transform(train.x.flatten(1))
    models = [LogisticRegression(C=c, max_iter=100).fit(x, train.y) for c in (0.01, 0.1, 1.0)]
    model = max(models, key=lambda m: m.score(scaler.transform(test.x.flatten(1)), test.y))
    expected = model.predict_log_proba(scaler.transform(test.x.flatten(1)))
    got = linear_classifier(data, identity_stem)(test)
    assert got.numpy() == pytest.approx(expected, abs=1e-3)


def test_linear_classifier_allows_missing_classes_and_constant_features():
    data = fake_dataset("example_image", size=30)
    train = data.splits["train"]
    train.y[train.y == 1] = 2
    train.x[:, :, :4] = 0
    got = linear_classifier(data, identity_stem)(data.splits["test"])
    assert got.shape == (40, 3)
    assert got.isfinite().all()
    assert (got.argmax(1) != 1).all()


def test_unigram_equals_smoothed_frequencies():
    spec = DataSpec(name="abc", modality="text", task="next_token", shape=(3,), vocabulary=3)
    x, y = torch.tensor([[0, 1, 0], [1, 0, 2]]), torch.tensor([[1, 0, 2], [0, 2, 0]])
    data = FixedDataset(spec, Batch(x, y))
    # Targets: 1, 0, 2, 0, 2, 0. Each of the three counts is increased by one.
    expected = [4 / 9, 2 / 9, 3 / 9]
    got = unigram(data, identity_stem)(data.splits["test"]).exp()
    assert got.shape == (2, 3, 3)
    assert got[1, 2].tolist() == pytest.approx(expected)


def test_linear_next_token_reads_earlier_tokens_only():
    """The next token equals the one three steps before, which a bigram cannot see."""
    spec = DataSpec(name="ab", modality="text", task="next_token", shape=(12,), vocabulary=5)
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(5, (400, 3), generator=generator)
    text = first.repeat(1, 5)[:, :13]
    x, y = text[:, :-1], text[:, 1:]
    predict = linear_next_token(FixedDataset(spec, Batch(x, y)), identity_stem)
    got = predict(Batch(x, y))
    assert got.shape == (400, 12, 5)
    assert (got.argmax(-1) == y)[:, 2:].all()
    changed = x.clone()
    changed[:, 6:] = 0
    assert torch.equal(got[:, :6], predict(Batch(changed, y))[:, :6])


def test_linear_next_token_ignores_padding():
    data = fake_dataset("example_ragged_text")
    train = data.splits["train"]
    clean = linear_next_token(data, identity_stem)(train)
    valid = torch.arange(16) < train.lengths[:, None]
    dirty = Batch(train.x.masked_fill(~valid, 3), train.y.masked_fill(~valid, 5), train.lengths)
    assert torch.equal(
        clean, linear_next_token(FixedDataset(data.spec, dirty), identity_stem)(train)
    )


def test_persistence_and_seasonal_naive_of_a_short_series():
    spec = DataSpec(
        name="saw", modality="series", task="forecast", shape=(5, 1), horizon=4, season=3
    )
    batch = Batch(torch.tensor([1.0, 2, 3, 4, 5]).reshape(1, 5, 1), torch.zeros(1, 4, 1))
    data = FixedDataset(spec, batch)
    assert persistence(data, identity_stem)(batch).flatten().tolist() == [5, 5, 5, 5]
    assert seasonal_naive(data, identity_stem)(batch).flatten().tolist() == [3, 4, 5, 3]


@pytest.mark.parametrize(("season", "reason"), [(0, "no season"), (9, "has only 5")])
def test_seasonal_naive_needs_a_season_that_fits(season, reason):
    spec = DataSpec(
        name="flat", modality="series", task="forecast", shape=(5, 1), horizon=4, season=season
    )
    with pytest.raises(Unsupported, match=reason):
        seasonal_naive(FixedDataset(spec, None), identity_stem)


def test_linear_forecast_equals_scikit_learns_ridge_on_each_channel():
    data = fake_dataset("example_series")
    train, test = data.splits["train"], data.splits["test"]
    got = linear_forecast(data, identity_stem)(test)
    assert got.dtype == torch.float32
    for channel in range(2):
        last = train.x[:, -1:, channel]
        ridge = Ridge(alpha=1.0).fit(train.x[..., channel] - last, train.y[..., channel] - last)
        test_last = test.x[:, -1:, channel]
        expected = ridge.predict(test.x[..., channel] - test_last) + test_last.numpy()
        assert got[..., channel].numpy() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("head", "name", "grid"),
    [
        (Classify, "example_image", (8,)),
        (NextToken, "example_ragged_text", (16,)),
        (Forecast, "example_series", (24,)),
        (Forecast, "example_targets", (12,)),
        (Regress, "example_regress", (6,)),
    ],
)
def test_head_scores_the_predictions_of_its_baselines(head, name, grid):
    data = fake_dataset(name)
    for baseline in head.baselines.values():
        scorer = head(Features(dim=1, grid=grid), data.spec)
        try:
            predictor = baseline(data, identity_stem)
        except Unsupported as reason:
            assert "no season" in str(reason)
            continue
        metrics = scorer.metrics(ExampleDataset(data.spec))
        for batch in iterate_batches(data, "test", 16):
            scorer.update(metrics, predictor(batch), batch)
        assert all(math.isfinite(metric.compute()) for metric in metrics.values())
    assert next(iter(head.baselines)) in {"majority", "unigram", "persistence", "mean"}
