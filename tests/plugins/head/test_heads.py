"""Heads: scores against scikit-learn, summaries computed by hand, and error messages."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch import nn

from quintain.contracts import Batch, DataSpec, Features
from quintain.nn.mask import last_valid, length_mask, mask_fill, masked_mean, reverse_valid
from quintain.nn.pooling import Summary
from quintain.plugins.head.classify import Classify
from quintain.plugins.head.forecast import Forecast
from quintain.plugins.head.next_token import NextToken
from quintain.plugins.head.regress import Regress
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, fake_batch

SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}
IMAGE, SERIES = SPECS["example_image"], SPECS["example_series"]
TEXT = SPECS["example_ragged_text"]


def compute_scores(head, parts, dataset=None):
    """Return the values of all metrics after several pairs of (prediction, batch)."""
    metrics = head.metrics(dataset or ExampleDataset(TEXT))
    for prediction, batch in parts:
        head.update(metrics, prediction, batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def test_classify_scores_equal_scikit_learn():
    torch.manual_seed(0)
    head = Classify(Features(dim=4, grid=(3,)), IMAGE)
    batches = [fake_batch(IMAGE, size, seed=size) for size in (7, 7, 3)]
    parts = [(torch.randn(len(b.x), 3), b) for b in batches]
    truth = torch.cat([b.y for b in batches]).numpy()
    predicted = torch.cat([p.argmax(1) for p, _ in parts]).numpy()
    got = compute_scores(head, parts)
    assert got["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert got["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="macro")
    )


def test_classify_loss_equals_scikit_learns_log_loss():
    head, batch = Classify(Features(dim=4, grid=(3,)), IMAGE), fake_batch(IMAGE)
    logits = torch.randn(len(batch.x), 3)
    expected = sklearn_metrics.log_loss(batch.y, logits.double().softmax(1), labels=[0, 1, 2])
    assert float(head.loss(logits, batch)) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_applies_in_training_only():
    head = Classify(Features(dim=4, grid=(3,)), IMAGE, label_smoothing=0.3)
    batch = fake_batch(IMAGE)
    logits = torch.randn(len(batch.x), 3)
    truth = np.eye(3)[batch.y] * 0.7 + 0.1  # 0.3 spread over three classes
    expected = -(truth * logits.double().log_softmax(1).numpy()).sum(1).mean()
    assert head.loss(logits, batch).item() == pytest.approx(expected, rel=1e-5)
    plain = Classify(Features(dim=4, grid=(3,)), IMAGE).loss(logits, batch)
    assert head.eval().loss(logits, batch).item() == pytest.approx(plain.item())
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got 1"):
        Classify(Features(dim=4, grid=(3,)), IMAGE, label_smoothing=1)


def test_forecast_scores_equal_scikit_learn():
    head = Forecast(Features(dim=4, grid=(3,)), SERIES)
    batches = [fake_batch(SERIES, size, seed=size) for size in (5, 2)]
    parts = [(torch.randn_like(b.y), b) for b in batches]
    truth = torch.cat([b.y.flatten() for b in batches])
    predicted = torch.cat([p.flatten() for p, _ in parts])
    got = compute_scores(head, parts)
    assert got["mse"] == pytest.approx(
        sklearn_metrics.mean_squared_error(truth, predicted), rel=1e-5
    )
    assert got["mae"] == pytest.approx(
        sklearn_metrics.mean_absolute_error(truth, predicted), rel=1e-5
    )


def test_forecast_with_zero_weights_is_persistence():
    head, batch = Forecast(Features(dim=4, grid=(24,)), SERIES), fake_batch(SERIES)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    prediction = head(torch.randn(6, 24, 4), None, batch)
    assert torch.equal(prediction, batch.x[:, -1:].expand(-1, SERIES.horizon, -1))


def test_next_token_counts_each_valid_token_once():
    head = NextToken(Features(dim=4, grid=(16,), causal=True, output_mode="positions"), TEXT)
    batches = [fake_batch(TEXT, size, seed=size) for size in (5, 2)]
    parts = [(torch.randn(len(b.x), 16, TEXT.vocabulary), b) for b in batches]
    nats = [
        -float(p[k, t].double().log_softmax(0)[b.y[k, t]])
        for p, b in parts
        for k in range(len(b.x))
        for t in range(int(b.lengths[k]))
    ]
    got = compute_scores(head, parts)
    assert got["loss"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert got["bits_per_character"] == pytest.approx(np.mean(nats) / math.log(2), rel=1e-5)
    assert got["perplexity"] == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)
    first_batch = nats[: int(batches[0].lengths.sum())]
    assert float(head.loss(*parts[0])) == pytest.approx(np.mean(first_batch), rel=1e-5)


def test_nan_in_a_batch_gives_a_nan_score():
    head = NextToken(Features(dim=4, grid=(16,), causal=True, output_mode="positions"), TEXT)
    batch = fake_batch(TEXT)
    assert math.isnan(compute_scores(head, [(torch.full((6, 16, 12), math.nan), batch)])["loss"])


@pytest.mark.parametrize(
    ("head", "spec", "message"),
    [
        (Classify, SERIES, "try head=forecast"),
        (Forecast, TEXT, "try head=next_token"),
        (Regress, TEXT, "try head=next_token"),
        (NextToken, IMAGE, "try head=classify"),
        (NextToken, TEXT, "must keep"),
        (
            Classify,
            DataSpec(name="one", modality="image", task="classify", shape=(1, 2, 2)),
            "two are needed",
        ),
        (
            Forecast,
            DataSpec(name="none", modality="series", task="forecast", shape=(4, 1)),
            "at least 1 is needed",
        ),
    ],
)
def test_wrong_dataset_raises_with_advice(head, spec, message):
    with pytest.raises(ValueError, match=message):
        head(Features(dim=4, grid=(8,)), spec)


def test_masked_operations_ignore_padding():
    x = torch.tensor([[[1.0], [3.0], [math.nan]], [[5.0], [math.inf], [9.0]]])
    mask = length_mask(torch.tensor([2, 1]), 3)
    assert masked_mean(x, mask).tolist() == [[2.0], [5.0]]
    assert last_valid(x, mask).tolist() == [[3.0], [5.0]]
    assert mask_fill(x, mask).tolist() == [[[1.0], [3.0], [0.0]], [[5.0], [0.0], [0.0]]]
    assert reverse_valid(mask_fill(x, mask), mask).squeeze(-1).tolist() == [[3, 1, 0], [5, 0, 0]]


def test_masked_mean_without_valid_steps_is_zero():
    x, mask = torch.ones(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)
    assert not masked_mean(x, mask).any()


def test_summary_of_a_grid():
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    mask = length_mask(torch.tensor([2]), 3)
    summary = Summary(Features(dim=2, grid=(3, 2), masked=True))(x, mask)
    assert summary.tolist() == [[3.0, 4.0, 5.0, 6.0]]


def test_next_token_without_lengths_counts_every_token():
    spec = SPECS["example_text"]
    head = NextToken(Features(dim=4, grid=(16,), causal=True, output_mode="positions"), spec)
    batch = fake_batch(spec)
    certain = 50.0 * nn.functional.one_hot(batch.y, spec.vocabulary)
    assert compute_scores(head, [(certain, batch)])["loss"] == pytest.approx(0, abs=1e-6)
    assert isinstance(batch, Batch)


class Celsius(ExampleDataset):
    """One standardised unit is ten degrees, and zero is twenty degrees."""

    def inverse_transform(self, y):
        return 10 * y + 20


def test_forecast_errors_in_original_units_equal_scikit_learn():
    head = Forecast(Features(dim=4, grid=(3,)), SERIES)
    parts = [(torch.randn_like(b.y), b) for b in (fake_batch(SERIES, n, seed=n) for n in (5, 2))]
    truth = 20 + 10 * torch.cat([b.y.flatten() for _, b in parts]).double()
    predicted = 20 + 10 * torch.cat([p.flatten() for p, _ in parts]).double()
    got = compute_scores(head, parts, Celsius(SERIES))
    assert got["mse_original"] == pytest.approx(
        sklearn_metrics.mean_squared_error(truth, predicted), rel=1e-5
    )
    assert got["mae_original"] == pytest.approx(
        sklearn_metrics.mean_absolute_error(truth, predicted), rel=1e-5
    )
    expected = (2 * (predicted - truth).abs() / (predicted.abs() + truth.abs())).mean()
    assert got["smape"] == pytest.approx(float(expected), rel=1e-5)
    samples = head.samples(parts[1][0], parts[1][1], Celsius(SERIES))
    assert samples[0]["truth"] == (20 + 10 * parts[1][1].y[0]).tolist()


def test_regression_scores_equal_scikit_learn():
    spec = SPECS["example_regress"]
    head = Regress(Features(dim=4, grid=(3,)), spec)
    parts = [(torch.randn_like(b.y), b) for b in (fake_batch(spec, n, seed=n) for n in (5, 2))]
    truth = 20 + 10 * torch.cat([b.y for _, b in parts]).double()
    predicted = 20 + 10 * torch.cat([p for p, _ in parts]).double()
    got = compute_scores(head, parts, Celsius(spec))
    assert got["mae"] == pytest.approx(
        sklearn_metrics.mean_absolute_error(truth, predicted), rel=1e-5
    )
    assert got["rmse"] == pytest.approx(
        sklearn_metrics.root_mean_squared_error(truth, predicted), rel=1e-5
    )
    assert got["r2"] == pytest.approx(sklearn_metrics.r2_score(truth, predicted), rel=1e-4)


class Kelvin(ExampleDataset):
    """Targets with a standard deviation of 0.01 around 300."""

    def inverse_transform(self, y):
        return 300 + 0.01 * y


def test_r2_of_a_small_spread_and_of_a_single_sample():
    spec = SPECS["example_regress"]
    head, batch = Regress(Features(dim=4, grid=(3,)), spec), fake_batch(spec, 50)
    predicted = batch.y + 0.3 * torch.randn_like(batch.y)
    got = compute_scores(head, [(predicted, batch)], Kelvin(spec))
    assert got["r2"] == pytest.approx(sklearn_metrics.r2_score(batch.y, predicted), rel=1e-4)
    single = fake_batch(spec, 1)
    got = compute_scores(head, [(single.y + 1, single)], Kelvin(spec))
    assert math.isnan(got["r2"]) and got["mae"] == pytest.approx(0.01, rel=1e-2)
