"""A run that is interrupted and goes on ends as one that was not, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cells_factory import cell, own_threads

from quintain.compose.cells import Cell
from quintain.records.schema import Record
from quintain.run import execute as execution
from quintain.run import measure
from quintain.run.assemble import joined
from quintain.run.checkpoint import Interrupted, Keeper
from quintain.run.execute import execute

MODELS = ("mlp", "cnn", "rnn", "lstm", "gru", "transformer")
DATASETS = ("digits", "moving_digits", "spoken_words", "pydoc", "sunspots")
BUDGET = {"steps": 11, "validations": 3, "params": None}


class Stops(Keeper):
    """Is asked to leave when training has come so far."""

    def __init__(self, folder: Path, key: str, chunks: int) -> None:
        super().__init__(folder, key, every=None)
        self.chunks = chunks

    def due(self) -> bool:
        self.chunks -= 1
        self.asked = self.chunks < 0
        return super().due()

    def hear(self) -> None: ...


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    """Data are loaded once for all runs, and what is not compared is not measured."""
    made: dict[str, Any] = {}
    build = execution.build_dataset

    def built(config):
        words = str(config["dataset"])
        if words not in made:
            made[words] = build(config)
            made[words].prepare_data()
            made[words].setup("fit")
        return made[words]

    monkeypatch.setattr(execution, "build_dataset", built)
    monkeypatch.setattr(execution, "CHUNK", 2)
    monkeypatch.setattr(measure, "LATENCY_SECONDS", 1e-3)
    monkeypatch.setattr(measure, "flops_per_sample", lambda *_: "not asked")
    with own_threads():
        yield


@pytest.fixture
def left(monkeypatch) -> list[dict[str, Any]]:
    """What each run that ended had in its task: weights, best weights, optimizer."""
    found: list[dict[str, Any]] = []
    fit = execution.fit

    def watched(run, trainer, task, feed):
        said = fit(run, trainer, task, feed)
        states = task._stepper.state_dict()["state"] if hasattr(task, "_stepper") else None
        weights = {k: v.clone() for k, v in task.model.state_dict().items()}
        found.append({"weights": weights, "best": task.trace.weights, "optimizer": states})
        return said

    monkeypatch.setattr(execution, "fit", watched)
    return found


def plain(record: Record) -> dict[str, Any]:
    """All but times."""
    dumped = record.dump()["quality"]
    for point in dumped["curve"]:
        point.pop("seconds")
    return dumped | {"steps": record.cost.steps, "n": len(record.step_times_ms)}


def same(a: Any, b: Any) -> bool:
    """Tensors, in dicts and lists, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


def check(made: Cell, folder: Path, left: list[dict[str, Any]], *stops: int) -> Record:
    """Interrupted after so many chunks each time, then finished; and without interruption."""
    whole = execute(made)
    for chunks in stops:
        with pytest.raises(Interrupted):
            execute(made, keeper=Stops(folder, made.key, chunks))
    assert len(list(folder.glob("*.pt"))) == 1
    record = execute(made, keeper=Stops(folder, made.key, 10**6))
    assert plain(record) == plain(whole)
    assert same(left[0], left[-1])
    assert record.cost.resumed == len(stops), record.trust["interruptions"]
    return record


def sized(name: str, model: str, **settings: Any) -> Cell:
    made = cell(name, model, **{"budget": BUDGET} | settings)
    made.config["model"]["width"] = 6.0
    return made


PAIRS = [(d, m) for d in DATASETS for m in MODELS]
QUICK = list(zip(DATASETS, MODELS, strict=False))


@pytest.mark.parametrize(("name", "model"), QUICK)
def test_each_modality(name, model, tmp_path, left):
    check(sized(name, model), tmp_path / "c", left, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), [pair for pair in PAIRS if pair not in QUICK])
def test_every_core_on_every_modality(name, model, tmp_path, left):
    check(sized(name, model), tmp_path / "c", left, 3)


@pytest.mark.parametrize("chunks", range(1, 6))
def test_wherever_it_is_interrupted(chunks, tmp_path, left):
    check(sized("digits", "transformer"), tmp_path / "c", left, chunks)


def test_again_and_again(tmp_path, left):
    record = check(sized("digits", "gru"), tmp_path / "c", left, 1, 1, 1, 1, 1)
    assert record.trust["interruptions"].note == "resumed 5 times, last at step 9"


class Counts(Keeper):
    """How often the signals were taken back from Lightning."""

    heard = 0

    def hear(self) -> None:
        self.heard += 1


def test_signals_are_heard_in_training_and_in_each_validation_and_test(tmp_path):
    made = cell("digits", "mlp", budget=BUDGET | {"params": 5_000})
    keeper = Counts(tmp_path, made.key, every=None)
    execute(made, keeper=keeper)
    assert keeper.heard == 1 + BUDGET["validations"] + 1


@pytest.mark.parametrize(
    ("name", "now", "then", "whole"),
    [
        ("energy_kwh", 1.0, 2.0, 3.0),
        ("energy_kwh", 1.0, None, None),
        ("device_peak_mb", 1.0, 2.0, 2.0),
        ("host_peak_mb", 1.0, None, 1.0),
        ("throttled_share", 0.0, 0.5, 0.5),
        ("throttled_events", 1.0, 2.0, 3.0),
        ("gpu_utilisation", 0.9, 0.9, None),
    ],
)
def test_meters_of_an_interrupted_run_are_joined(name, now, then, whole):
    assert joined(name, now, then) == whole
