"""FLOPs against hand counts, and latency, peak and bandwidth with a simulated clock."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from helpers.cell_factory import build_cell, load_points
from torch import nn

from quintain.contracts import Batch
from quintain.meters.host import AbsentMeter
from quintain.model import build_dataset, build_model, choose_width
from quintain.run.log_filters import filter_logs
from quintain.run.measure import profiling
from quintain.run.measure.readings import read_meters


class Wrapped(nn.Module):
    """Runs a module on `Batch.x`."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, batch):
        output = self.inner(batch.x)
        return output[0] if isinstance(output, tuple) else output


def count_flops(inner, *shape):
    x = torch.zeros(shape)
    with filter_logs():
        return profiling.count_forward_flops(Wrapped(inner).eval(), Batch(x, torch.zeros(len(x))))


def test_a_multiply_add_is_two_flops():
    assert count_flops(nn.Linear(7, 5), 1, 7) == 2 * 7 * 5
    assert count_flops(nn.Linear(7, 5), 4, 7) == 2 * 7 * 5  # a sample, whatever the batch
    mlp = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3, bias=False))
    assert count_flops(mlp, 1, 9, 7) == 9 * 2 * (7 * 5 + 5 * 3)


def test_convolution_by_hand():
    assert count_flops(nn.Conv2d(3, 8, 3, padding=1), 1, 3, 10, 12) == 2 * 10 * 12 * 8 * 3 * 9


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_cells_by_hand(kind, gates):
    assert count_flops(kind(6, 5, batch_first=True), 1, 11, 6) == 11 * 2 * gates * (6 * 5 + 5 * 5)


class Attention(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_attention_on_the_cpu_is_counted():
    heads, steps, size = 2, 9, 4
    assert count_flops(Attention(), 1, heads, steps, size) == heads * 2 * (2 * steps * steps * size)


class Linear(nn.Module):
    """A linear model from `Batch.x` with a squared error."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.head = SimpleNamespace(loss=lambda prediction, batch: prediction.square().mean())

    def forward(self, batch):
        return self.inner(batch.x)


@pytest.mark.parametrize(
    ("inner", "forward", "backward"),
    [
        # The gradient of the weights, and for all but the first layer that of the inputs.
        (nn.Linear(7, 5), 2 * 7 * 5, 2 * 7 * 5),
        (nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3)), 2 * 50, 2 * (7 * 5 + 2 * 5 * 3)),
    ],
)
def test_flops_of_the_backward_pass_by_hand(inner, forward, backward):
    batch = Batch(torch.zeros(4, 7), torch.zeros(4))
    assert profiling.count_training_flops(Linear(inner), batch) == forward + backward


def test_the_backward_pass_of_an_lstm_is_counted():
    """Per step: the gates' gradients of inputs, of the state and of both weight matrices."""

    class Lstm(Linear):
        def forward(self, batch):
            return self.inner(batch.x)[0]

    steps, inputs, width = 11, 6, 5
    batch = Batch(torch.zeros(1, steps, inputs), torch.zeros(1))
    flops = profiling.count_training_flops(Lstm(nn.LSTM(inputs, width, batch_first=True)), batch)
    gates = 2 * 4 * width
    forward = steps * gates * (inputs + width)
    assert 2 * forward < flops <= 3 * forward


def test_a_model_that_cannot_be_copied_has_a_reason_instead_of_flops():
    model = Linear(nn.Linear(7, 5))
    model.cache = model.inner(torch.zeros(1, 7))  # torch does not copy a tensor with a gradient
    reason = profiling.count_forward_flops(model, Batch(torch.zeros(1, 7), torch.zeros(1)))
    assert reason.startswith("FLOPs cannot be counted on the CPU: RuntimeError")


def test_a_model_without_counted_operations_has_a_reason():
    assert count_flops(nn.ReLU(), 1, 3) == "no counted operation in the model"


@pytest.mark.parametrize(
    "dataset", ["digits", "moving_digits", "spoken_words", "pydoc", "sunspots"]
)
def test_every_model_on_every_dataset_has_a_count(dataset):
    cell = build_cell(dataset)
    spec = build_dataset(cell.config).spec
    generator = torch.Generator().manual_seed(0)
    shape = (1, *spec.shape)
    x = torch.randn(shape, generator=generator)
    if spec.modality == "text":
        x = torch.randint(spec.vocabulary, shape, generator=generator)
    lengths = torch.tensor([spec.shape[0]]) if spec.ragged else None
    batch = Batch(x, torch.zeros(1), lengths)
    for model in ("mlp", "cnn", "rnn", "lstm", "gru", "transformer"):
        config = build_cell(dataset, model).config
        width = choose_width(config, spec).width
        built = build_model(config, spec, width).eval()
        with filter_logs():
            forward = profiling.count_forward_flops(built, batch)
        counted = sum(p.numel() for p in built.core.parameters() if p.ndim > 1)
        assert forward > counted, model  # each weight is used at least once


def test_percentiles_are_numpys():
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    result = profiling.compute_percentiles(values, 50, 95, 99)
    assert result == pytest.approx(
        {f"p{level}": np.percentile(values, level) for level in (50, 95, 99)}
    )
    assert profiling.compute_percentiles([2.0], 50) == {"p50": 2.0}


def test_latency_of_a_slow_model_is_at_least_its_sleep():
    synchronized = []

    def slow(batch):
        time.sleep(0.02)
        return batch.x

    readings = profiling.measure_latency(
        slow, load_points().batch("val", torch.arange(1)), lambda: synchronized.append(1), 60.0
    )
    assert 1 <= len(readings) <= 8
    assert min(readings) >= 20
    assert len(synchronized) == len(readings) + 1  # each reading waits for the device


def test_latency_of_a_very_slow_model_is_read_once(monkeypatch):
    monkeypatch.setattr(profiling, "WARM_UP", 0)
    monkeypatch.setattr(profiling, "LATENCY_SECONDS", 0.01)
    assert (
        len(profiling.measure_latency(lambda batch: time.sleep(0.05), None, lambda: None, 60.0))
        == 1
    )


def test_latency_takes_only_a_share_of_a_short_training(monkeypatch):
    now = [0.0]

    def model(batch):
        now[0] += 1e-3

    monkeypatch.setattr(profiling.time, "perf_counter", lambda: now[0])
    for training, readings in ((0.0, 10), (1.0, 10), (5.0, 50), (10.0, 100), (3600.0, 150)):
        latencies = profiling.measure_latency(model, None, lambda: None, training)
        assert len(latencies) == pytest.approx(readings, abs=1)
        assert latencies == pytest.approx([1.0] * len(latencies))


def test_a_reading_is_a_value_or_a_reason():
    class ThreeMeter:
        name = "three"

        def read(self):
            return 3

    readings = read_meters([ThreeMeter(), AbsentMeter("energy_kwh", "no counter")])
    assert readings == {"three": 3.0, "energy_kwh": "no counter"}


def test_the_peak_is_operations_over_the_shortest_time(monkeypatch):
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, barebones=True)
    trained = profiling.TrainedModel(nn.Linear(1, 1), trainer)
    readings = iter([0, 9, 0, 2.0, 0, 0.5, 0, 1, 0, 1, 0, 1])  # the first reading warms up
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: next(readings))
    assert trained.measure_peak_flops(lambda: None, 3600.0) == 2 * 512**3 / 0.5


def test_the_peak_of_a_short_training_takes_fewer_readings(monkeypatch):
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, barebones=True)
    trained = profiling.TrainedModel(nn.Linear(1, 1), trainer)
    readings = iter([0, 9, 0, 2.0, 0, 1, 0, 1, 0, 0.5, 0, 0.5])
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: next(readings))
    assert trained.measure_peak_flops(lambda: None, 1.0) == 2 * 512**3 / 1
    assert len(list(readings)) == 4


def test_bandwidth_counts_bytes_read_and_written(monkeypatch):
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, barebones=True)
    trained = profiling.TrainedModel(nn.Linear(1, 1), trainer)
    readings = iter([0, 9, 0, 2.0, 0, 0.5, 0, 1])  # the first reading warms up
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: next(readings))
    assert trained.measure_bandwidth(lambda: None) == 2 * 2**25 / 0.5
