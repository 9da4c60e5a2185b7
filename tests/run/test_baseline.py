"""Baselines as runs: scored as models are, and equal each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.cell_factory import build_cell, load_option, restore_threads
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from quintain.compose.instantiate import locate
from quintain.contracts import Batch
from quintain.model import build_dataset
from quintain.run.session import run_cell

DATASETS = ("digits", "moving_digits", "spoken_words", "pydoc", "sunspots")


def list_baselines():
    for dataset in DATASETS:
        head = build_cell(dataset).names["head"]
        for baseline in load_option("head", head)["card"]["baselines"]:
            yield dataset, baseline


SHORTENED = {("spoken_words", "linear"), ("moving_digits", "linear")}
"""Baselines that take half a minute on the whole dataset."""


def shorten(load):
    """Return a dataset's `load` that keeps a few samples of each split."""
    return lambda self: {s: Batch(*(None if t is None else t[:120] for t in batch))
                         for s, batch in load(self).items()}  # fmt: skip


@pytest.fixture(autouse=True)
def _threads():
    with restore_threads():
        yield


@pytest.mark.parametrize(("dataset", "baseline"), list(list_baselines()))
def test_every_baseline_of_every_dataset(dataset, baseline, monkeypatch):
    if (dataset, baseline) in SHORTENED:
        kind = locate(build_cell(dataset).config["dataset"]["_target_"])
        monkeypatch.setattr(kind, "load", shorten(kind.load))
    record = run_cell(build_cell(dataset, baseline=baseline, seed=0))
    assert (record.status, record.baseline, record.names.model) == ("ok", True, baseline)
    for score in record.quality.scores.values():
        assert np.isfinite(score.val) and np.isfinite(score.test)
    assert record.cost.params is None and record.cost.steps is None
    assert record.cost.samples == record.data.sizes.train
    assert record.cost.absent["flops_per_sample"] == "a baseline is not trained in steps"
    assert record.quality.curve == []


def test_two_runs_are_equal():
    cell = build_cell("digits", baseline="linear", seed=0)
    assert run_cell(cell).quality == run_cell(cell).quality


def test_the_linear_baseline_of_digits_is_scikit_learns():
    data = build_dataset(build_cell("digits").config)
    data.setup("fit")
    splits = {s: data.batch(s, torch.arange(data.size(s))) for s in ("train", "val", "test")}
    x = {s: b.x.flatten(1).numpy() for s, b in splits.items()}
    scaler = StandardScaler().fit(x["train"])
    y = {s: b.y.numpy() for s, b in splits.items()}
    models = [LogisticRegression(C=c, max_iter=100) for c in (0.01, 0.1, 1.0)]
    for model in models:
        model.fit(scaler.transform(x["train"]), y["train"])
    model = max(models, key=lambda m: m.score(scaler.transform(x["val"]), y["val"]))
    scores = run_cell(build_cell("digits", baseline="linear", seed=0)).quality.scores["accuracy"]
    for split in ("val", "test"):
        expected = model.score(scaler.transform(x[split]), splits[split].y.numpy())
        assert getattr(scores, split) == pytest.approx(expected, abs=0.5 / len(x[split]))


def test_the_majority_baseline_is_the_share_of_its_class():
    data = build_dataset(build_cell("digits").config)
    data.setup("fit")
    y = {s: data.batch(s, torch.arange(data.size(s))).y for s in ("train", "test")}
    share = (y["test"] == torch.bincount(y["train"]).argmax()).float().mean().item()
    scores = run_cell(build_cell("digits", baseline="majority", seed=0)).quality.scores["accuracy"]
    assert scores.test == pytest.approx(share)
