"""Runs in processes of their own are told to leave, killed, and started again."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bad_plugins
import pytest
from cells_factory import cell
from test_resume import plain

from quintain.compose.cells import Cell, make_cell
from quintain.compose.providers import import_local
from quintain.launch.events import Event
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.records.store import Store

AGAIN = 75
WAIT = 600.0  # seconds for anything that must happen, on a slow machine too


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Of slow models that do no harm."""
    patch = pytest.MonkeyPatch()
    made = bad_plugins.write(tmp_path_factory.mktemp("plugins") / "mine")
    patch.setenv("QUINTAIN_PLUGINS", str(made))
    import_local()
    yield made
    patch.undo()


def slow(folder: Path, seed: int, kind: str = "Good", **settings: Any) -> Cell:
    made = cell(
        "digits",
        "slow",
        target=f"quintain_local.model.bad.{kind}",
        plugins=folder,
        seed=seed,
        budget={"steps": 20, "validations": 10, "params": None},
    )
    made.config["model"] |= settings or {"pause": 0.1}
    again = make_cell(made.config, made.names, seed=seed)
    again.plugins[:] = [str(folder)]
    return again


class ByHand:
    """`python -m quintain.run FILE --store S` for one cell."""

    def __init__(self, made: Cell, folder: Path) -> None:
        self.cell, self.store = made, Store(folder / "store")
        self.file = folder / "cell.json"
        self.file.write_text(made.to_json())
        self.errors = folder / "errors"

    def start(self, *more: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "quintain.run", str(self.file)]
        with self.errors.open("w") as errors:
            return subprocess.Popen(
                [*command, "--store", str(self.store.path), *more], stderr=errors
            )

    def kept(self) -> list[Path]:
        return list(self.store.checkpoints(self.cell.key).glob("*.pt"))


def until_new(run: ByHand, process: subprocess.Popen) -> None:
    """Wait for another checkpoint than those that are there."""
    before, end = set(run.kept()), time.monotonic() + WAIT
    while not set(run.kept()) - before:
        assert process.poll() is None and time.monotonic() < end, run.errors.read_text()
        time.sleep(0.02)


def test_signals_end_a_run_with_75_and_it_goes_on_as_if_nothing_had_been(folder, tmp_path):
    run = ByHand(slow(folder, seed=1), tmp_path)
    process = run.start("--checkpoint-every", "0")
    until_new(run, process)
    process.kill()  # not even a chance to keep anything
    process.wait()
    for number in (signal.SIGTERM, signal.SIGUSR2):
        process = run.start("--checkpoint-every", "0")
        until_new(run, process)
        process.send_signal(number)
        assert process.wait() == AGAIN, run.errors.read_text()
        assert "interrupted; the same command goes on" in run.errors.read_text()
        assert run.store.status(run.cell.key) is None and len(run.kept()) == 1
    assert run.start().wait() == 0, run.errors.read_text()
    record = run.store.read(run.cell.key)
    assert record.cost.resumed == 3 and not run.store.checkpoints(run.cell.key).exists()
    assert record.cost.seconds.training >= 20 * 0.1
    (tmp_path / "other").mkdir()
    whole = ByHand(run.cell, tmp_path / "other")
    assert whole.start().wait() == 0
    assert plain(record) == plain(whole.store.read(run.cell.key))


def test_before_there_is_anything_to_keep_a_signal_ends_the_run_at_once(folder, tmp_path):
    made = cell("digits", "mlp", reference="majority_class")
    code = (
        "import os, signal, sys; import quintain.compose.build as build;"
        "build.instantiate = lambda *_: os.kill(os.getpid(), signal.SIGTERM);"
        "from quintain.run.__main__ import main; sys.exit(main())"
    )
    file = tmp_path / "cell.json"
    file.write_text(made.to_json())
    command = [sys.executable, "-c", code, str(file), "--store", str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == AGAIN, done.stderr
    assert not Store(tmp_path / "s").all()


def events(pool: LocalPool, cells: list[Cell], stopped=lambda: 0) -> list[Event]:
    return [e for e in pool.run(cells, stopped) if e.kind == "ended"]


def test_an_interrupted_sweep_keeps_the_state_of_what_runs(folder, tmp_path):
    store, made = Store(tmp_path / "store"), slow(folder, seed=3)
    steps: list[int] = []
    for event in LocalPool(store, workers=1).run([made], lambda: len(steps) > 0):
        if event.kind == "step":
            steps.append(event.step)
    kept = list(store.checkpoints(made.key).glob("*.pt"))
    assert len(kept) == 1 and store.status(made.key) is None
    claim = store.claim(made.key)
    assert claim is not None
    claim.release()
    assert [e.ending for e in events(LocalPool(store, workers=1), [made])] == ["ok"]
    record = store.read(made.key)
    assert record.cost.resumed == 1
    note = record.trust["interruptions"].note
    assert note == f"resumed 1 time, last at step {int(kept[0].name.partition('-')[0])}"


def test_a_forced_run_does_not_go_on_from_where_another_stopped(folder, tmp_path):
    store, made = Store(tmp_path), slow(folder, seed=8)
    steps: list[int] = []
    for event in LocalPool(store, workers=1).run([made], lambda: len(steps) > 0):
        if event.kind == "step":
            steps.append(event.step)
    assert len(list(store.checkpoints(made.key).glob("*.pt"))) == 1
    forced = LocalPool(store, workers=1, force=True)
    assert [e.ending for e in events(forced, [made])] == ["ok"]
    assert store.read(made.key).cost.resumed == 0


def test_a_forced_run_that_was_interrupted_goes_on(folder, tmp_path):
    store, made = Store(tmp_path), slow(folder, seed=9)
    assert [e.ending for e in events(LocalPool(store, workers=1), [made])] == ["ok"]
    steps: list[int] = []
    for event in LocalPool(store, workers=1, force=True).run([made], lambda: len(steps) > 0):
        if event.kind == "step":
            steps.append(event.step)
    assert len(list(store.checkpoints(made.key).glob("*.pt"))) == 1
    forced = LocalPool(store, workers=1, force=True)
    assert [e.ending for e in events(forced, [made])] == ["ok"]
    assert store.read(made.key).cost.resumed == 1


def test_the_second_time_runs_are_killed_at_once(folder, tmp_path):
    """A step that takes an hour, and a grace without end: the run ends all the same."""
    store, trains = Store(tmp_path / "store"), tmp_path / "trains"
    made = slow(folder, 4, "Stalls", note=str(trains))
    pool = LocalPool(store, workers=1, limits=Limits(grace=math.inf))
    runs, asked = [], []

    def stopped() -> int:
        if not trains.exists():
            return 0
        asked.append(1 if len(asked) < 4 else 2)
        assert asked.count(2) <= 1, "asked twice and still going on"
        return asked[-1]

    for _ in pool.run([made], stopped):
        runs += [run.process for run in pool._running if run.process not in runs]
        assert not asked or runs[0].is_alive()  # once is not enough
    assert asked[-1] == 2 and runs[0].exitcode == -signal.SIGKILL
    assert store.status(made.key) is None


def test_a_run_that_somebody_else_asks_to_leave_goes_on(folder, tmp_path):
    store, made = Store(tmp_path / "store"), slow(folder, seed=5)
    pool, asked, ended = LocalPool(store, workers=1), [], []
    for event in pool.run([made], lambda: 0):
        if event.kind == "step" and not asked:
            asked.append(pool._running[0].process.pid)
            os.kill(asked[0], signal.SIGTERM)
        if event.kind == "ended":
            ended.append(event)
    assert [e.ending for e in ended] == ["ok"]
    assert store.read(made.key).cost.resumed == 1
