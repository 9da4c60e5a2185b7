"""Operations by hand, percentiles by numpy, latency by a slow model."""

from __future__ import annotations

import time

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from cells_factory import cell, loaded
from torch import nn

from quintain.compose.build import build_dataset, build_model, choose_width
from quintain.contracts import Batch
from quintain.kit.meters import Absent
from quintain.run import measure
from quintain.run.quiet import quiet


class Wrapped(nn.Module):
    """Runs a module on `Batch.x`."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, batch):
        found = self.inner(batch.x)
        return found[0] if isinstance(found, tuple) else found


def flops(inner, *shape):
    x = torch.zeros(shape)
    with quiet():
        return measure.flops_per_sample(Wrapped(inner).eval(), Batch(x, torch.zeros(len(x))))


def test_a_multiply_add_is_two():
    assert flops(nn.Linear(7, 5), 1, 7) == 2 * 7 * 5
    assert flops(nn.Linear(7, 5), 4, 7) == 2 * 7 * 5  # a sample, whatever the batch
    mlp = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3, bias=False))
    assert flops(mlp, 1, 9, 7) == 9 * 2 * (7 * 5 + 5 * 3)


def test_convolution_by_hand():
    assert flops(nn.Conv2d(3, 8, 3, padding=1), 1, 3, 10, 12) == 2 * 10 * 12 * 8 * 3 * 9


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_cells_by_hand(kind, gates):
    assert flops(kind(6, 5, batch_first=True), 1, 11, 6) == 11 * 2 * gates * (6 * 5 + 5 * 5)


class Attends(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_attention_on_the_cpu_is_counted():
    heads, steps, size = 2, 9, 4
    assert flops(Attends(), 1, heads, steps, size) == heads * 2 * (2 * steps * steps * size)


def test_nothing_counted_is_a_reason():
    assert flops(nn.ReLU(), 1, 3) == "no counted operation in the model"


@pytest.mark.parametrize(
    "dataset", ["digits", "moving_digits", "spoken_words", "pydoc", "sunspots"]
)
def test_every_model_on_every_dataset_has_a_count(dataset):
    made = cell(dataset)
    spec = build_dataset(made.config).spec
    generator = torch.Generator().manual_seed(0)
    shape = (1, *spec.shape)
    x = torch.randn(shape, generator=generator)
    if spec.modality == "text":
        x = torch.randint(spec.vocabulary, shape, generator=generator)
    lengths = torch.tensor([spec.shape[0]]) if spec.ragged else None
    batch = Batch(x, torch.zeros(1), lengths)
    for model in ("mlp", "cnn", "rnn", "lstm", "gru", "transformer"):
        config = cell(dataset, model).config
        width = choose_width(config, spec).width
        built = build_model(config, spec, width).eval()
        with quiet():
            found = measure.flops_per_sample(built, batch)
        counted = sum(p.numel() for p in built.core.parameters() if p.ndim > 1)
        assert found > counted, model  # each weight takes part at least once


def test_percentiles_are_numpys():
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    found = measure.percentiles(values, 50, 95, 99)
    assert found == pytest.approx(
        {f"p{level}": np.percentile(values, level) for level in (50, 95, 99)}
    )
    assert measure.percentiles([2.0], 50) == {"p50": 2.0}


def test_latency_of_a_slow_model_is_at_least_its_sleep():
    waited = []

    def slow(batch):
        time.sleep(0.02)
        return batch.x

    readings = measure.latency(
        slow, loaded().take("val", torch.arange(1)), lambda: waited.append(1), 60.0
    )
    assert 1 <= len(readings) <= 8
    assert min(readings) >= 20
    assert len(waited) == len(readings) + 1  # each reading waits for the device


def test_latency_of_a_very_slow_model_is_read_once(monkeypatch):
    monkeypatch.setattr(measure, "WARM_UP", 0)
    monkeypatch.setattr(measure, "LATENCY_SECONDS", 0.01)
    assert len(measure.latency(lambda batch: time.sleep(0.05), None, lambda: None, 60.0)) == 1


def test_latency_takes_a_share_of_a_short_training_only(monkeypatch):
    moment = [0.0]

    def model(batch):
        moment[0] += 1e-3

    monkeypatch.setattr(measure.time, "perf_counter", lambda: moment[0])
    for training, readings in ((0.0, 10), (1.0, 10), (5.0, 50), (10.0, 100), (3600.0, 150)):
        found = measure.latency(model, None, lambda: None, training)
        assert len(found) == pytest.approx(readings, abs=1)
        assert found == pytest.approx([1.0] * len(found))


def test_meters_give_values_or_reasons():
    class Three:
        name = "three"

        def read(self):
            return 3

    values, reasons = measure.read_meters([Three(), Absent("energy_kwh", "no counter")])
    assert values == {"three": 3.0, "energy_kwh": None}
    assert reasons == {"energy_kwh": "no counter"}


def test_the_peak_is_operations_over_the_shortest_time(monkeypatch):
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, barebones=True)
    forward = measure.Forward(nn.Linear(1, 1), trainer)
    readings = iter([0, 9, 0, 2.0, 0, 0.5, 0, 1, 0, 1, 0, 1])  # the first one warms up
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(readings))
    assert forward.peak_flops(lambda: None, 3600.0) == 2 * 512**3 / 0.5


def test_the_peak_of_a_short_training_takes_fewer_readings(monkeypatch):
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, barebones=True)
    forward = measure.Forward(nn.Linear(1, 1), trainer)
    readings = iter([0, 9, 0, 2.0, 0, 1, 0, 1, 0, 0.5, 0, 0.5])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(readings))
    assert forward.peak_flops(lambda: None, 1.0) == 2 * 512**3 / 1
    assert len(list(readings)) == 4


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, barebones=True)
    forward = measure.Forward(nn.Linear(1, 1), trainer)
    readings = iter([0, 9, 0, 2.0, 0, 0.5, 0, 1])  # the first one warms up
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(readings))
    assert forward.bandwidth(lambda: None) == 2 * 2**25 / 0.5
