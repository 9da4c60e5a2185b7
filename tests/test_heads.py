"""Heads: scores against scikit-learn, summaries by hand, and errors that help."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch import nn

from quintain.contracts import Batch, DataSpec, Features
from quintain.kit.heads import Summary
from quintain.kit.mask import keep, last_valid, mask_of, masked_mean, reverse_valid
from quintain.plugins.head.classify import Classify
from quintain.plugins.head.forecast import Forecast
from quintain.plugins.head.next_token import NextToken
from quintain.plugins.head.regress import Regress
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, fake_batch

SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}
IMAGE, SERIES = SPECS["example_image"], SPECS["example_series"]
TEXT = SPECS["example_ragged_text"]


def score(head, parts, dataset=None):
    """Values of all metrics after several batches of (prediction, batch)."""
    metrics = head.metrics(dataset or ExampleDataset(TEXT))
    for prediction, batch in parts:
        head.update(metrics, prediction, batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def test_classify_scores_agree_with_scikit_learn():
    torch.manual_seed(0)
    head = Classify(Features(dim=4, grid=(3,)), IMAGE)
    batches = [fake_batch(IMAGE, size, seed=size) for size in (7, 7, 3)]
    parts = [(torch.randn(len(b.x), 3), b) for b in batches]
    truth = torch.cat([b.y for b in batches]).numpy()
    said = torch.cat([p.argmax(1) for p, _ in parts]).numpy()
    got = score(head, parts)
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(truth, said))
    assert got["macro_f1"] == pytest.approx(reference.f1_score(truth, said, average="macro"))


def test_classify_loss_is_scikit_learns_log_loss():
    head, batch = Classify(Features(dim=4, grid=(3,)), IMAGE), fake_batch(IMAGE)
    logits = torch.randn(len(batch.x), 3)
    expected = reference.log_loss(batch.y, logits.double().softmax(1), labels=[0, 1, 2])
    assert float(head.loss(logits, batch)) == pytest.approx(expected, rel=1e-5)


def test_smoothed_labels_are_counted_by_hand_and_only_in_training():
    head = Classify(Features(dim=4, grid=(3,)), IMAGE, label_smoothing=0.3)
    batch = fake_batch(IMAGE)
    logits = torch.randn(len(batch.x), 3)
    truth = np.eye(3)[batch.y] * 0.7 + 0.1  # 0.3 spread over three classes
    expected = -(truth * logits.double().log_softmax(1).numpy()).sum(1).mean()
    assert head.loss(logits, batch).item() == pytest.approx(expected, rel=1e-5)
    plain = Classify(Features(dim=4, grid=(3,)), IMAGE).loss(logits, batch)
    assert head.eval().loss(logits, batch).item() == pytest.approx(plain.item())
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), came 1"):
        Classify(Features(dim=4, grid=(3,)), IMAGE, label_smoothing=1)


def test_forecast_scores_agree_with_scikit_learn_on_ragged_batches():
    head = Forecast(Features(dim=4, grid=(3,)), SERIES)
    batches = [fake_batch(SERIES, size, seed=size) for size in (5, 2)]
    parts = [(torch.randn_like(b.y), b) for b in batches]
    truth = torch.cat([b.y.flatten() for b in batches])
    said = torch.cat([p.flatten() for p, _ in parts])
    got = score(head, parts)
    assert got["mse"] == pytest.approx(reference.mean_squared_error(truth, said), rel=1e-5)
    assert got["mae"] == pytest.approx(reference.mean_absolute_error(truth, said), rel=1e-5)


def test_a_forecast_with_zero_weights_is_persistence():
    head, batch = Forecast(Features(dim=4, grid=(24,)), SERIES), fake_batch(SERIES)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    prediction = head(torch.randn(6, 24, 4), None, batch)
    assert torch.equal(prediction, batch.x[:, -1:].expand(-1, SERIES.horizon, -1))


def test_next_token_counts_each_real_token_once():
    head = NextToken(Features(dim=4, grid=(16,), causal=True, asks="positions"), TEXT)
    batches = [fake_batch(TEXT, size, seed=size) for size in (5, 2)]
    parts = [(torch.randn(len(b.x), 16, TEXT.vocabulary), b) for b in batches]
    nats = [
        -float(p[k, t].double().log_softmax(0)[b.y[k, t]])
        for p, b in parts
        for k in range(len(b.x))
        for t in range(int(b.lengths[k]))
    ]
    got = score(head, parts)
    assert got["loss"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert got["bits_per_character"] == pytest.approx(np.mean(nats) / math.log(2), rel=1e-5)
    assert got["perplexity"] == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)
    one = [n for n in nats[: int(batches[0].lengths.sum())]]
    assert float(head.loss(*parts[0])) == pytest.approx(np.mean(one), rel=1e-5)


def test_a_loss_that_is_not_a_number_shows_in_the_score():
    head = NextToken(Features(dim=4, grid=(16,), causal=True, asks="positions"), TEXT)
    batch = fake_batch(TEXT)
    assert math.isnan(score(head, [(torch.full((6, 16, 12), math.nan), batch)])["loss"])


@pytest.mark.parametrize(
    ("head", "spec", "says"),
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
            "1 or more",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_advice(head, spec, says):
    with pytest.raises(ValueError, match=says):
        head(Features(dim=4, grid=(8,)), spec)


def test_masked_mean_and_last_step_by_hand():
    x = torch.tensor([[[1.0], [3.0], [math.nan]], [[5.0], [math.inf], [9.0]]])
    mask = mask_of(torch.tensor([2, 1]), 3)
    assert masked_mean(x, mask).tolist() == [[2.0], [5.0]]
    assert last_valid(x, mask).tolist() == [[3.0], [5.0]]
    assert keep(x, mask).tolist() == [[[1.0], [3.0], [0.0]], [[5.0], [0.0], [0.0]]]
    assert reverse_valid(keep(x, mask), mask).squeeze(-1).tolist() == [[3, 1, 0], [5, 0, 0]]


def test_a_sample_with_no_real_step_gives_zeros():
    x, mask = torch.ones(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)
    assert not masked_mean(x, mask).any()


def test_summary_of_a_grid_by_hand():
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    mask = mask_of(torch.tensor([2]), 3)
    summary = Summary(Features(dim=2, grid=(3, 2), masked=True))(x, mask)
    assert summary.tolist() == [[3.0, 4.0, 5.0, 6.0]]


def test_batches_without_lengths_count_every_token():
    spec = SPECS["example_text"]
    head = NextToken(Features(dim=4, grid=(16,), causal=True, asks="positions"), spec)
    batch = fake_batch(spec)
    sure = 50.0 * nn.functional.one_hot(batch.y, spec.vocabulary)
    assert score(head, [(sure, batch)])["loss"] == pytest.approx(0, abs=1e-6)
    assert isinstance(batch, Batch)


class Celsius(ExampleDataset):
    """Targets of which one unit is ten degrees, and zero is twenty."""

    def restore(self, y):
        return 10 * y + 20


def test_errors_in_the_data_s_own_units_agree_with_scikit_learn():
    head = Forecast(Features(dim=4, grid=(3,)), SERIES)
    parts = [(torch.randn_like(b.y), b) for b in (fake_batch(SERIES, n, seed=n) for n in (5, 2))]
    truth = 20 + 10 * torch.cat([b.y.flatten() for _, b in parts]).double()
    said = 20 + 10 * torch.cat([p.flatten() for p, _ in parts]).double()
    got = score(head, parts, Celsius(SERIES))
    assert got["mse_original"] == pytest.approx(reference.mean_squared_error(truth, said), rel=1e-5)
    assert got["mae_original"] == pytest.approx(
        reference.mean_absolute_error(truth, said), rel=1e-5
    )
    by_hand = (2 * (said - truth).abs() / (said.abs() + truth.abs())).mean()
    assert got["smape"] == pytest.approx(float(by_hand), rel=1e-5)
    shown = head.samples(parts[1][0], parts[1][1], Celsius(SERIES))
    assert shown[0]["truth"] == (20 + 10 * parts[1][1].y[0]).tolist()


def test_regression_scores_agree_with_scikit_learn():
    spec = SPECS["example_regress"]
    head = Regress(Features(dim=4, grid=(3,)), spec)
    parts = [(torch.randn_like(b.y), b) for b in (fake_batch(spec, n, seed=n) for n in (5, 2))]
    truth = 20 + 10 * torch.cat([b.y for _, b in parts]).double()
    said = 20 + 10 * torch.cat([p for p, _ in parts]).double()
    got = score(head, parts, Celsius(spec))
    assert got["mae"] == pytest.approx(reference.mean_absolute_error(truth, said), rel=1e-5)
    assert got["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, said), rel=1e-5)
    assert got["r2"] == pytest.approx(reference.r2_score(truth, said), rel=1e-4)


class Kelvin(ExampleDataset):
    """A spread of 0.01 about 300."""

    def restore(self, y):
        return 300 + 0.01 * y


def test_r2_of_a_small_spread_about_a_large_mean_and_of_one_sample():
    spec = SPECS["example_regress"]
    head, batch = Regress(Features(dim=4, grid=(3,)), spec), fake_batch(spec, 50)
    said = batch.y + 0.3 * torch.randn_like(batch.y)
    got = score(head, [(said, batch)], Kelvin(spec))
    assert got["r2"] == pytest.approx(reference.r2_score(batch.y, said), rel=1e-4)
    single = fake_batch(spec, 1)
    got = score(head, [(single.y + 1, single)], Kelvin(spec))
    assert math.isnan(got["r2"]) and got["mae"] == pytest.approx(0.01, rel=1e-2)
