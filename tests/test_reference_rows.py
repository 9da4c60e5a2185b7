"""Reference rows as runs: scored as any model is, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells_factory import cell, node, own_threads
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from quintain.compose.bind import locate
from quintain.compose.build import build_dataset
from quintain.contracts import Batch
from quintain.run.execute import execute

DATASETS = ("digits", "moving_digits", "spoken_words", "pydoc", "sunspots")


def rows():
    for dataset in DATASETS:
        head = cell(dataset).names["head"]
        for reference in node("head", head)["card"]["references"]:
            yield dataset, reference


LONG = {("spoken_words", "linear"), ("moving_digits", "linear")}  # half a minute, whole


def shortened(load):
    """A dataset's `load` that keeps a few samples of each split."""
    return lambda self: {s: Batch(*(None if t is None else t[:120] for t in batch))
                         for s, batch in load(self).items()}  # fmt: skip


@pytest.fixture(autouse=True)
def _threads():
    with own_threads():
        yield


@pytest.mark.parametrize(("dataset", "reference"), list(rows()))
def test_every_reference_of_every_dataset(dataset, reference, monkeypatch):
    if (dataset, reference) in LONG:
        kind = locate(cell(dataset).config["dataset"]["_target_"])
        monkeypatch.setattr(kind, "load", shortened(kind.load))
    record = execute(cell(dataset, reference=reference, seed=0))
    assert (record.status, record.reference, record.names.model) == ("ok", True, reference)
    for score in record.quality.scores.values():
        assert np.isfinite(score.val) and np.isfinite(score.test)
    assert record.cost.params is None and record.cost.steps is None
    assert record.cost.samples == record.data.sizes.train
    assert record.cost.absent["flops_per_sample"] == "a reference row is not trained by steps"
    assert record.quality.curve == []


def test_twice_is_the_same():
    made = cell("digits", reference="linear", seed=0)
    assert execute(made).quality == execute(made).quality


def test_the_linear_row_of_digits_is_scikit_learns():
    data = build_dataset(cell("digits").config)
    data.setup("fit")
    splits = {s: data.take(s, torch.arange(data.size(s))) for s in ("train", "val", "test")}
    x = {s: b.x.flatten(1).numpy() for s, b in splits.items()}
    scaler = StandardScaler().fit(x["train"])
    y = {s: b.y.numpy() for s, b in splits.items()}
    models = [LogisticRegression(C=c, max_iter=100) for c in (0.01, 0.1, 1.0)]
    for model in models:
        model.fit(scaler.transform(x["train"]), y["train"])
    model = max(models, key=lambda m: m.score(scaler.transform(x["val"]), y["val"]))
    found = execute(cell("digits", reference="linear", seed=0)).quality.scores["accuracy"]
    for split in ("val", "test"):
        right = model.score(scaler.transform(x[split]), splits[split].y.numpy())
        assert getattr(found, split) == pytest.approx(right, abs=0.5 / len(x[split]))


def test_the_majority_row_counts_by_hand():
    data = build_dataset(cell("digits").config)
    data.setup("fit")
    y = {s: data.take(s, torch.arange(data.size(s))).y for s in ("train", "test")}
    share = (y["test"] == torch.bincount(y["train"]).argmax()).float().mean().item()
    found = execute(cell("digits", reference="majority", seed=0)).quality.scores["accuracy"]
    assert found.test == pytest.approx(share)
