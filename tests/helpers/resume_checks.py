"""Interrupts runs, resumes them, and compares them with runs that were not interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.cell_factory import build_cell, restore_threads
from quintain.errors import Interrupted
from quintain.plan.cell import Cell
from quintain.records.schema import Record
from quintain.run import session, training
from quintain.run.measure import profiling
from quintain.run.session import run_cell
from quintain.run.train.checkpoint import FileCheckpointer

BUDGET = {"steps": 11, "validations": 3, "params": None}


class StoppingCheckpointer(FileCheckpointer):
    """Preempts its run after some chunks."""

    def __init__(self, folder: Path, key: str, chunks: int) -> None:
        super().__init__(folder, key, interval=None)
        self.chunks = chunks

    def should_save(self) -> bool:
        self.chunks -= 1
        self._is_preempted = self.chunks < 0
        return super().should_save()

    def install_signal_handlers(self) -> None: ...


@pytest.fixture
def fast_session(monkeypatch):
    """Data are loaded once for all runs, and what is not compared is not measured."""
    datasets: dict[str, Any] = {}
    build_dataset = session.build_dataset

    def build_dataset_once(config):
        settings = str(config["dataset"])
        if settings not in datasets:
            datasets[settings] = build_dataset(config)
            datasets[settings].prepare_data()
            datasets[settings].setup("fit")
        return datasets[settings]

    monkeypatch.setattr(session, "build_dataset", build_dataset_once)
    monkeypatch.setattr(training, "CHUNK", 2)
    monkeypatch.setattr(profiling, "LATENCY_SECONDS", 1e-3)
    monkeypatch.setattr(profiling, "_count_flops", lambda *_: "not counted")
    with restore_threads():
        yield


@pytest.fixture
def trained_states(monkeypatch) -> list[dict[str, Any]]:
    """Weights, best weights and optimizer state of each run that has trained, in order."""
    states: list[dict[str, Any]] = []
    fit = training.fit

    def fit_and_observe(context, trainer, module, loader):
        result = fit(context, trainer, module, loader)
        optimizer_state = trainer.optimizers[0].state_dict()["state"]
        weights = {k: v.clone() for k, v in module.model.state_dict().items()}
        states.append(
            {
                "weights": weights,
                "best": module.history.best_weights,
                "optimizer": optimizer_state,
            }
        )
        return result

    monkeypatch.setattr(training, "fit", fit_and_observe)
    return states


def comparable_fields(record: Record) -> dict[str, Any]:
    """Return all of a record's results but times."""
    fields = record.dump()["quality"]
    for point in fields["curve"]:
        point.pop("seconds")
    return fields | {"steps": record.cost.steps, "n": len(record.step_times_ms)}


def are_equal(a: Any, b: Any) -> bool:
    """Compare tensors, in dicts and lists, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(are_equal(a[k], b[k]) for k in a)
    return bool(a == b)


def check_resumed_run(
    cell: Cell, folder: Path, trained_states: list[dict[str, Any]], *stops: int
) -> Record:
    """Interrupt a run after so many chunks each time, finish it, and compare it."""
    uninterrupted = run_cell(cell)
    for chunks in stops:
        with pytest.raises(Interrupted):
            run_cell(cell, checkpointer=StoppingCheckpointer(folder, cell.key, chunks))
    assert len(list(folder.glob("*.pt"))) == 1
    record = run_cell(cell, checkpointer=StoppingCheckpointer(folder, cell.key, 10**6))
    assert comparable_fields(record) == comparable_fields(uninterrupted)
    assert are_equal(trained_states[0], trained_states[-1])
    assert record.cost.resumed == len(stops), record.trust["interruptions"]
    return record


def build_sized_cell(name: str, model: str, **settings: Any) -> Cell:
    """Return a cell of a small model and the budget `BUDGET`."""
    cell = build_cell(name, model, **{"budget": BUDGET} | settings)
    cell.config["model"]["width"] = 6.0
    return cell
