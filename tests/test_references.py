"""Reference rows against scikit-learn and counts by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from quintain.contracts import Batch, DataSpec, Features, Skip
from quintain.kit.references import simple as references
from quintain.kit.references import text as text_references
from quintain.kit.references.simple import batches
from quintain.plugins.head.classify import Classify
from quintain.plugins.head.forecast import Forecast
from quintain.plugins.head.next_token import NextToken
from quintain.plugins.head.regress import Regress
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, fake_batch

SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}


class InHand:
    """A dataset of three given batches."""

    def __init__(self, spec, train, test=None):
        self.spec = spec
        self.splits = {"train": train, "val": test or train, "test": test or train}

    def size(self, split):
        return len(self.splits[split].x)

    def take(self, split, indices):
        return Batch(*(None if t is None else t[indices] for t in self.splits[split]))


def fake(name, size=300, test=40):
    spec = SPECS[name]
    return InHand(spec, fake_batch(spec, size), fake_batch(spec, test, seed=1))


def flat(x, lengths):
    """A stem that changes nothing."""
    return x.flatten(2) if x.dim() > 2 else x[..., None], None


def test_batches_give_each_sample_once_and_in_order():
    data = fake("example_series", size=10)
    sizes, parts = zip(*((len(b.x), b.x) for b in batches(data, "train", 4)), strict=True)
    assert sizes == (4, 4, 2)
    assert torch.equal(torch.cat(parts), data.splits["train"].x)


def test_majority_is_scikit_learns_dummy():
    data = fake("example_image")
    train, test = data.splits["train"], data.splits["test"]
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(train.y), 1)), train.y)
    expected = dummy.predict_log_proba(np.zeros((len(test.y), 1)))
    assert references.majority(data, flat)(test).numpy() == pytest.approx(expected, rel=1e-5)


def test_linear_classifier_is_scikit_learns():
    data = fake("example_image")
    train, test = data.splits["train"], data.splits["test"]
    scaler = StandardScaler().fit(train.x.flatten(1))
    x = scaler.transform(train.x.flatten(1))
    models = [LogisticRegression(C=c, max_iter=100).fit(x, train.y) for c in (0.01, 0.1, 1.0)]
    model = max(models, key=lambda m: m.score(scaler.transform(test.x.flatten(1)), test.y))
    expected = model.predict_log_proba(scaler.transform(test.x.flatten(1)))
    got = references.linear_classifier(data, flat)(test)
    assert got.numpy() == pytest.approx(expected, abs=1e-3)


def test_linear_classifier_lives_with_missing_classes_and_constant_features():
    data = fake("example_image", size=30)
    train = data.splits["train"]
    train.y[train.y == 1] = 2
    train.x[:, :, :4] = 0
    got = references.linear_classifier(data, flat)(data.splits["test"])
    assert got.shape == (40, 3)
    assert got.isfinite().all()
    assert (got.argmax(1) != 1).all()


def test_unigram_by_hand():
    spec = DataSpec(name="abc", modality="text", task="next_token", shape=(3,), vocabulary=3)
    x, y = torch.tensor([[0, 1, 0], [1, 0, 2]]), torch.tensor([[1, 0, 2], [0, 2, 0]])
    data = InHand(spec, Batch(x, y))
    # Followers: 1, 0, 2, 0, 2, 0. Add one to each count of three.
    unigram = [4 / 9, 2 / 9, 3 / 9]
    got = text_references.unigram(data, flat)(data.splits["test"]).exp()
    assert got.shape == (2, 3, 3)
    assert got[1, 2].tolist() == pytest.approx(unigram)


def test_linear_next_token_reads_two_back_and_never_ahead():
    """The next token is the one two before: a bigram cannot know, eight tokens do."""
    spec = DataSpec(name="ab", modality="text", task="next_token", shape=(12,), vocabulary=5)
    draw = torch.Generator().manual_seed(0)
    first = torch.randint(5, (400, 3), generator=draw)
    text = first.repeat(1, 5)[:, :13]
    x, y = text[:, :-1], text[:, 1:]
    predict = text_references.linear_next_token(InHand(spec, Batch(x, y)), flat)
    got = predict(Batch(x, y))
    assert got.shape == (400, 12, 5)
    assert (got.argmax(-1) == y)[:, 2:].all()
    changed = x.clone()
    changed[:, 6:] = 0
    assert torch.equal(got[:, :6], predict(Batch(changed, y))[:, :6])


def test_linear_next_token_does_not_learn_padding():
    data = fake("example_ragged_text")
    train = data.splits["train"]
    clean = text_references.linear_next_token(data, flat)(train)
    real = torch.arange(16) < train.lengths[:, None]
    dirty = Batch(train.x.masked_fill(~real, 3), train.y.masked_fill(~real, 5), train.lengths)
    assert torch.equal(
        clean, text_references.linear_next_token(InHand(data.spec, dirty), flat)(train)
    )


def test_persistence_and_seasonal_naive_by_hand():
    spec = DataSpec(
        name="saw", modality="series", task="forecast", shape=(5, 1), horizon=4, season=3
    )
    batch = Batch(torch.tensor([1.0, 2, 3, 4, 5]).reshape(1, 5, 1), torch.zeros(1, 4, 1))
    data = InHand(spec, batch)
    assert references.persistence(data, flat)(batch).flatten().tolist() == [5, 5, 5, 5]
    assert references.seasonal_naive(data, flat)(batch).flatten().tolist() == [3, 4, 5, 3]


@pytest.mark.parametrize(("season", "says"), [(0, "no season"), (9, "shows only 5")])
def test_no_season_no_reference(season, says):
    spec = DataSpec(
        name="flat", modality="series", task="forecast", shape=(5, 1), horizon=4, season=season
    )
    with pytest.raises(Skip, match=says):
        references.seasonal_naive(InHand(spec, None), flat)


def test_linear_forecast_is_scikit_learns_ridge_on_each_channel():
    data = fake("example_series")
    train, test = data.splits["train"], data.splits["test"]
    got = references.linear_forecast(data, flat)(test)
    assert got.dtype == torch.float32
    for channel in range(2):
        last = train.x[:, -1:, channel]
        ridge = Ridge(alpha=1.0).fit(train.x[..., channel] - last, train.y[..., channel] - last)
        mine = test.x[:, -1:, channel]
        expected = ridge.predict(test.x[..., channel] - mine) + mine.numpy()
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
def test_predictions_can_be_scored_by_the_head(head, name, grid):
    data = fake(name)
    for make in head.references.values():
        scorer = head(Features(dim=1, grid=grid), data.spec)
        try:
            predictor = make(data, flat)
        except Skip as reason:
            assert "no season" in str(reason)
            continue
        metrics = scorer.metrics(ExampleDataset(data.spec))
        for batch in batches(data, "test", 16):
            scorer.update(metrics, predictor(batch), batch)
        assert all(math.isfinite(metric.compute()) for metric in metrics.values())
    assert next(iter(head.references)) in {"majority", "unigram", "persistence", "mean"}
