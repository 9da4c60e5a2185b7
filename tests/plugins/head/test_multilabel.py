"""The head of multi-label classification against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from quintain.contracts import Batch, DataSpec, Features
from quintain.plugins.head.multilabel import Multilabel
from quintain.testing import ExampleDataset

LABELS = ("a", "b", "c", "d", "never true", "never")
SPEC = DataSpec(name="labels", modality="image", task="multilabel", shape=(1, 4, 4), classes=LABELS)


def make_batch(size: int, seed: int) -> tuple[torch.Tensor, Batch]:
    """Return logits and truth; the last two labels are never true, the last is never predicted."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, 6, generator=generator) * 3
    y = (torch.rand(size, 6, generator=generator) < 0.3).float()
    y[:, 4:], logits[:, 5] = 0, -9
    return logits, Batch(torch.zeros(size, 1, 4, 4), y)


def test_scores_equal_scikit_learn() -> None:
    head = Multilabel(Features(dim=4, grid=(3,)), SPEC)
    parts = [make_batch(size, size) for size in (31, 31, 8)]
    metrics = head.metrics(ExampleDataset(SPEC))
    for logits, batch in parts:
        head.update(metrics, logits, batch)
    got = {name: float(metric.compute()) for name, metric in metrics.items()}
    truth = torch.cat([batch.y for _, batch in parts]).numpy()
    probability = torch.cat([logits for logits, _ in parts]).double().sigmoid().numpy()
    predicted = probability > 0.5
    assert [*got] == ["average_precision", "micro_f1", "macro_f1", "nll"]
    assert got["average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(truth[:, :4], probability[:, :4]), rel=1e-5
    )
    assert got["micro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="micro"), rel=1e-5
    )
    assert got["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="macro", zero_division=np.nan), rel=1e-5
    )
    nll = sum(
        sklearn_metrics.log_loss(truth[:, k], probability[:, k], labels=[0, 1]) for k in range(6)
    )
    assert got["nll"] == pytest.approx(nll, rel=1e-4)
    loss = float(head.loss(*parts[0]))
    one = parts[0][1].y.numpy(), parts[0][0].double().sigmoid().numpy()
    expected = [sklearn_metrics.log_loss(one[0][:, k], one[1][:, k], labels=[0, 1]) for k in (0, 5)]
    assert loss > 0 and head.num_targets(parts[0][1]) == 31
    assert min(expected) < loss < max(expected)


def test_scores_without_any_true_or_predicted_label_are_zero() -> None:
    head = Multilabel(Features(dim=4, grid=(3,)), SPEC)
    logits, batch = make_batch(5, 0)
    metrics = head.metrics(ExampleDataset(SPEC))
    head.update(metrics, torch.full_like(logits, -9), batch._replace(y=torch.zeros(5, 6)))
    scores = [float(metrics[name].compute()) for name in ("average_precision", "macro_f1")]
    assert scores == [0.0, 0.0]


def test_samples_name_the_labels() -> None:
    head = Multilabel(Features(dim=4, grid=(3,)), SPEC)
    logits = torch.tensor([[9.0, 9, -9, -9, -9, -9], [-9.0] * 6])
    batch = Batch(torch.zeros(2, 1, 4, 4), torch.tensor([[1.0, 0, 1, 0, 0, 0], [0.0] * 6]))
    assert head.samples(logits, batch, ExampleDataset(SPEC)) == [
        {"truth": "a, c", "prediction": "a, b"},
        {"truth": "(none)", "prediction": "(none)"},
    ]


def test_rank_by_is_the_first_score() -> None:
    head = Multilabel(Features(dim=4, grid=(3,)), SPEC, rank_by="nll")
    assert head.scores[0].name == "nll" and head.scores[0].direction == "min"
    assert [*head.metrics(ExampleDataset(SPEC))] == [score.name for score in head.scores]
    with pytest.raises(ValueError, match="rank_by must be one of average_precision, micro_f1"):
        Multilabel(Features(dim=4, grid=(3,)), SPEC, rank_by="accuracy")  # type: ignore[arg-type]
