"""Resumed bit for bit: with augmentation, streamed data, groups, time limits and signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.audio_dataset import SPLITS, AudioFiles
from helpers.cell_factory import Points, load_option
from helpers.file_systems import mount_tmpfs
from helpers.resume_checks import (
    BUDGET,
    are_equal,
    build_sized_cell,
    check_resumed_run,
    comparable_fields,
)

from quintain.data.on_disk import Item
from quintain.errors import Interrupted
from quintain.plan.cell import Cell, make_cell
from quintain.run import clocks
from quintain.run.session import run_cell
from quintain.run.train.checkpoint import FileCheckpointer

pytestmark = pytest.mark.usefixtures("fast_session")

RANDOM = [  # dataset, model, and settings that draw random numbers in training
    ("digits", "cnn", {"stem": {"flip": 0.5, "shift": 2}}),
    pytest.param(
        "spoken_words",
        "lstm",
        {"stem": {"stretch": 0.1, "mask_mels": 8, "mask_frames": 5}},
        marks=pytest.mark.slow,
    ),
    ("pydoc", "transformer", {"stem": {"dropout": 0.3}}),
]


@pytest.mark.parametrize(("dataset", "model", "settings"), RANDOM)
def test_augmentation_and_dropout(dataset, model, settings, tmp_path, trained_states):
    check_resumed_run(
        build_sized_cell(dataset, model, **settings), tmp_path / "c", trained_states, 2, 1
    )
    deterministic = run_cell(build_sized_cell(dataset, model))
    assert (
        comparable_fields(deterministic)["curve"]
        != comparable_fields(run_cell(build_sized_cell(dataset, model, **settings)))["curve"]
    )


def with_dataset(cell: Cell, target: str, **settings) -> Cell:
    """Return the cell with a dataset of these tests."""
    changed = cell.config | {"dataset": {"_target_": target, **settings}}
    return make_cell(changed, cell.names, seed=1)


class ShortTranscripts(AudioFiles):
    """One or two symbols a file, because the shortest has few frames."""

    def items(self):
        all_items = [Item(Path(path), (1 + n % 2,)) for n, path in enumerate(self.files)]
        return {split: all_items[n::3] for n, split in enumerate(SPLITS)}

    def decode(self, tokens, side):
        return "".join("?ab"[token] for token in tokens)


def build_audio_cell(paths, memory: int) -> Cell:
    cell = build_sized_cell("spoken_words", "gru", stem={"window": 8.0, "hop": 4.0, "mels": 8})
    cell.config["head"] = load_option("head", "transcribe")
    return with_dataset(
        cell, f"{__name__}.ShortTranscripts", files=[str(path) for path in paths], memory=memory
    )


def test_data_streamed_from_disk(audio_files, tmp_path, trained_states):
    cell = build_audio_cell(audio_files, memory=0)
    record = check_resumed_run(cell, tmp_path / "c", trained_states, 3)
    assert comparable_fields(record) == comparable_fields(
        run_cell(build_audio_cell(audio_files, memory=1024))
    )


def test_batches_grouped_by_length(tmp_path, trained_states):
    budget = BUDGET | {"group_by_length": 3}
    check_resumed_run(
        build_sized_cell("spoken_words", "rnn", budget=budget), tmp_path / "c", trained_states, 2, 1
    )
    run_cell(build_sized_cell("spoken_words", "rnn"))  # at random alone
    assert not are_equal(trained_states[0]["weights"], trained_states[-1]["weights"])


def test_a_time_limit_counts_the_seconds_before_an_interruption(
    tmp_path, trained_states, monkeypatch
):
    """The clock advances by a second a step: 7 of 11 steps, interrupted or not."""
    now, step = [0.0], torch.optim.AdamW.step

    def slow_step(self, *arguments, **settings):
        now[0] += 1.0
        return step(self, *arguments, **settings)

    monkeypatch.setattr(torch.optim.AdamW, "step", slow_step)
    monkeypatch.setattr(clocks, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    cell = build_sized_cell("digits", "mlp", budget=BUDGET | {"seconds": 7.0})
    record = check_resumed_run(cell, tmp_path / "c", trained_states, 1, 1)
    assert record.cost.steps == 7 and record.cost.seconds.training == 7


class SignallingPoints(Points):
    """Sends SIGTERM to its process when a split is read for the first time."""

    def __init__(self, split: str, marker: str) -> None:
        super().__init__()
        self.split, self.marker = split, Path(marker)

    def batch(self, split, indices):
        if split == self.split and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(split, indices)


@pytest.fixture
def _restore_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_signal_in_validation_and_in_the_test(split, tmp_path, trained_states, _restore_handlers):
    base = build_sized_cell("digits", "mlp", stem=load_option("stem", "series"))
    marker = tmp_path / "signalled"
    base.config["stem"] = load_option("stem", "series")
    cell = with_dataset(base, f"{__name__}.SignallingPoints", split=split, marker=str(marker))
    checkpointer = FileCheckpointer(tmp_path / "c", cell.key, interval=None)
    checkpointer.install_signal_handlers()
    with pytest.raises(Interrupted):
        run_cell(cell, checkpointer=checkpointer)
    assert marker.exists() and len(list((tmp_path / "c").glob("*.pt"))) == 1
    record = run_cell(cell, checkpointer=FileCheckpointer(tmp_path / "c", cell.key, interval=None))
    assert record.status == "ok" and record.cost.resumed == 1
    assert comparable_fields(record) == comparable_fields(run_cell(cell))


def test_a_disk_too_small_for_a_checkpoint(tmp_path, capfd):
    cell = build_sized_cell("digits", "mlp")
    with mount_tmpfs(tmp_path / "disk", "size=16k") as disk:
        record = run_cell(cell, checkpointer=FileCheckpointer(disk / "c", cell.key, interval=0.0))
        assert not list((disk / "c").glob("*")) and record.status == "ok"
    error = capfd.readouterr().err
    assert "no checkpoint at step" in error and "Traceback" not in error
    assert comparable_fields(record) == comparable_fields(run_cell(cell))
