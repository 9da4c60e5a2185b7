"""Interrupted and gone on, bit for bit: with chance, from disk, by length, by time, by signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from cells_factory import Points, node
from test_ondisk import SPLITS, Sounds, files  # noqa: F401
from test_resume import BUDGET, _fast, check, left, plain, same, sized  # noqa: F401
from test_sweep import tmpfs

from quintain.compose.cells import Cell, make_cell
from quintain.kit.ondisk import Item
from quintain.run import clocks
from quintain.run.checkpoint import Interrupted, Keeper
from quintain.run.execute import execute

CHANCE = [  # dataset and model, and what draws random numbers in training
    ("digits", "cnn", {"stem": {"flip": 0.5, "shift": 2}}),
    pytest.param(
        "spoken_words",
        "lstm",
        {"stem": {"stretch": 0.1, "mask_mels": 8, "mask_frames": 5}},
        marks=pytest.mark.slow,
    ),
    ("pydoc", "transformer", {"stem": {"dropout": 0.3}}),
]


@pytest.mark.parametrize(("name", "model", "chance"), CHANCE)
def test_augmentation_and_dropout(name, model, chance, tmp_path, left):  # noqa: F811
    check(sized(name, model, **chance), tmp_path / "c", left, 2, 1)
    still = execute(sized(name, model))
    assert plain(still)["curve"] != plain(execute(sized(name, model, **chance)))["curve"]


def over(made: Cell, target: str, **more) -> Cell:
    """The cell over a data set of these tests."""
    changed = made.config | {"dataset": {"_target_": target, **more}}
    return make_cell(changed, made.names, seed=1)


class Short(Sounds):
    """One symbol a file: the shortest has few frames."""

    def items(self):
        every = [Item(Path(path), (1 + n % 2,)) for n, path in enumerate(self.files)]
        return {split: every[n::3] for n, split in enumerate(SPLITS)}

    def text(self, tokens, side):
        return "".join("?ab"[token] for token in tokens)


def sounds(paths, memory: int) -> Cell:
    made = sized("spoken_words", "gru", stem={"window": 8.0, "hop": 4.0, "mels": 8})
    made.config["head"] = node("head", "transcribe")
    return over(made, f"{__name__}.Short", files=[str(path) for path in paths], memory=memory)


def test_data_streamed_from_disk(files, tmp_path, left):  # noqa: F811
    record = check(sounds(files, memory=0), tmp_path / "c", left, 3)
    assert plain(record) == plain(execute(sounds(files, memory=1024)))


def test_batches_grouped_by_length(tmp_path, left):  # noqa: F811
    budget = BUDGET | {"group_by_length": 3}
    check(sized("spoken_words", "rnn", budget=budget), tmp_path / "c", left, 2, 1)
    execute(sized("spoken_words", "rnn"))  # by chance alone
    assert not same(left[0]["weights"], left[-1]["weights"])


def test_a_limit_of_seconds_counts_those_before(tmp_path, left, monkeypatch):  # noqa: F811
    """A clock that goes on by one second a step: 7 of 11 steps, interrupted or not."""
    now, step = [0.0], torch.optim.AdamW.step

    def slow(self, *words, **more):
        now[0] += 1.0
        return step(self, *words, **more)

    monkeypatch.setattr(torch.optim.AdamW, "step", slow)
    monkeypatch.setattr(clocks, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    made = sized("digits", "mlp", budget=BUDGET | {"seconds": 7.0})
    record = check(made, tmp_path / "c", left, 1, 1)
    assert record.cost.steps == 7 and record.cost.seconds.training == 7


class Told(Points):
    """Sends its own process a signal when a split is read for the first time."""

    def __init__(self, when: str, note: str) -> None:
        super().__init__()
        self.when, self.note = when, Path(note)

    def take(self, split, indices):
        if split == self.when and not self.note.exists():
            self.note.touch()
            os.kill(os.getpid(), signal.SIGTERM)
        return super().take(split, indices)


@pytest.fixture
def _handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("when", ["val", "test"])
def test_a_signal_in_validation_and_in_the_test(when, tmp_path, left, _handlers):  # noqa: F811
    base, note = sized("digits", "mlp", stem=node("stem", "series")), tmp_path / "told"
    base.config["stem"] = node("stem", "series")
    made = over(base, f"{__name__}.Told", when=when, note=str(note))
    keeper = Keeper(tmp_path / "c", made.key, every=None)
    keeper.hear()
    with pytest.raises(Interrupted):
        execute(made, keeper=keeper)
    assert note.exists() and len(list((tmp_path / "c").glob("*.pt"))) == 1
    record = execute(made, keeper=Keeper(tmp_path / "c", made.key, every=None))
    assert record.status == "ok" and record.cost.resumed == 1
    assert plain(record) == plain(execute(made))


def test_a_disk_that_is_too_small_for_a_checkpoint(tmp_path, capfd):
    made = sized("digits", "mlp")
    with tmpfs(tmp_path / "disk", "size=16k") as disk:
        record = execute(made, keeper=Keeper(disk / "c", made.key, every=0.0))
        assert not list((disk / "c").glob("*")) and record.status == "ok"
    said = capfd.readouterr().err
    assert "no checkpoint at step" in said and "Traceback" not in said
    assert plain(record) == plain(execute(made))
