"""A run that is interrupted and resumed ends as one that was not interrupted, bit for bit."""

from __future__ import annotations

import pytest
import torch
from helpers.cell_factory import build_cell
from helpers.resume_checks import (
    BUDGET,
    StoppingCheckpointer,
    build_sized_cell,
    check_resumed_run,
    comparable_fields,
)

from quintain.errors import Interrupted
from quintain.run.measure.readings import combine_readings
from quintain.run.session import run_cell
from quintain.run.train.checkpoint import FileCheckpointer

pytestmark = pytest.mark.usefixtures("fast_session")

MODELS = ("mlp", "cnn", "rnn", "lstm", "gru", "transformer")
DATASETS = ("digits", "moving_digits", "spoken_words", "pydoc", "sunspots")


PAIRS = [(d, m) for d in DATASETS for m in MODELS]
QUICK = list(zip(DATASETS, MODELS, strict=False))


@pytest.mark.parametrize(("dataset", "model"), QUICK)
def test_each_modality(dataset, model, tmp_path, trained_states):
    check_resumed_run(build_sized_cell(dataset, model), tmp_path / "c", trained_states, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "model"), [pair for pair in PAIRS if pair not in QUICK])
def test_every_core_on_every_modality(dataset, model, tmp_path, trained_states):
    check_resumed_run(build_sized_cell(dataset, model), tmp_path / "c", trained_states, 3)


@pytest.mark.parametrize("chunks", range(1, 6))
def test_interrupted_after_each_chunk(chunks, tmp_path, trained_states):
    cell = build_sized_cell("digits", "transformer")
    check_resumed_run(cell, tmp_path / "c", trained_states, chunks)


def test_interrupted_repeatedly(tmp_path, trained_states):
    cell = build_sized_cell("digits", "gru")
    record = check_resumed_run(cell, tmp_path / "c", trained_states, 1, 1, 1, 1, 1)
    assert record.trust["interruptions"].note == "resumed 5 times, last at step 9"


@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_a_checkpoint_that_does_not_fit_is_discarded(part, tmp_path):
    cell, folder = build_sized_cell("digits", "mlp"), tmp_path / "c"
    with pytest.raises(Interrupted):
        run_cell(cell, checkpointer=StoppingCheckpointer(folder, cell.key, 3))
    state = FileCheckpointer(folder, cell.key).load_ranks()
    state[part] = {"no such weight": torch.zeros(1)}
    FileCheckpointer(folder, cell.key).save_ranks(state["steps"], state, state["ranks"])
    record = run_cell(cell, checkpointer=FileCheckpointer(folder, cell.key))
    assert comparable_fields(record) == comparable_fields(run_cell(cell))
    assert record.cost.resumed == 0 and not folder.exists()
    assert "a checkpoint was not used: it does not fit" in record.trust["interruptions"].note
    assert 0 < record.cost.seconds.training < record.cost.seconds.total


class CountingCheckpointer(FileCheckpointer):
    """Counts how often signal handlers were installed."""

    installed = 0

    def install_signal_handlers(self) -> None:
        self.installed += 1


def test_signal_handlers_are_installed_for_training_and_each_validation_and_test(tmp_path):
    cell = build_cell("digits", "mlp", budget=BUDGET | {"params": 5_000})
    checkpointer = CountingCheckpointer(tmp_path, cell.key, interval=None)
    run_cell(cell, checkpointer=checkpointer)
    assert checkpointer.installed == 1 + BUDGET["validations"] + 1


PARTLY = "missing in a part of this interrupted run"


@pytest.mark.parametrize(
    ("name", "now", "earlier", "expected"),
    [
        ("energy_kwh", 1.0, 2.0, 3.0),
        ("energy_kwh", 1.0, "no counter", PARTLY),
        ("energy_kwh", "no counter", 2.0, "no counter"),
        ("device_peak_mb", 1.0, 2.0, 2.0),
        ("host_peak_mb", 1.0, "not measured", 1.0),
        ("host_peak_mb", "not measured", "not measured", "not measured"),
        ("throttled_share", 0.0, 0.5, 0.5),
        ("throttled_events", 1.0, 2.0, 3.0),
        ("gpu_utilisation", 0.9, 0.9, "a mean of the last part of this interrupted run only"),
    ],
)
def test_readings_of_an_interrupted_run_are_combined(name, now, earlier, expected):
    assert combine_readings(name, now, earlier) == expected
