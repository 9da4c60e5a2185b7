"""Runs in their own processes are preempted, killed, and started again."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell
from helpers.resume_checks import comparable_fields

from quintain.compose.plugin_providers import register_local_plugins
from quintain.errors import ExitCode
from quintain.launch.events import Event
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.plan.cell import Cell, make_cell
from quintain.records.store import Store

TIMEOUT = 600.0  # seconds for anything that must happen, on a slow machine too


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Write a folder of slow models."""
    patch = pytest.MonkeyPatch()
    plugins = failing_plugins.write_models(tmp_path_factory.mktemp("plugins") / "mine")
    patch.setenv("QUINTAIN_PLUGINS", str(plugins))
    register_local_plugins()
    yield plugins
    patch.undo()


def build_slow_cell(folder: Path, seed: int, kind: str = "Good", **settings: Any) -> Cell:
    cell = build_cell(
        "digits",
        "slow",
        target=f"quintain_local.model.bad.{kind}",
        plugins=folder,
        seed=seed,
        budget={"steps": 20, "validations": 10, "params": None},
    )
    cell.config["model"] |= settings or {"pause": 0.1}
    cell = make_cell(cell.config, cell.names, seed=seed)
    cell.plugins[:] = [str(folder)]
    return cell


class RunModule:
    """`python -m quintain.run FILE --store S` for one cell."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        self.cell, self.store = cell, Store(folder / "store")
        self.file = folder / "cell.json"
        self.file.write_text(cell.to_json())
        self.errors = folder / "errors"

    def start(self, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "quintain.run", str(self.file)]
        with self.errors.open("w") as errors:
            return subprocess.Popen(
                [*command, "--store", str(self.store.path), *options], stderr=errors
            )

    def checkpoints(self) -> list[Path]:
        return list(self.store.checkpoints(self.cell.key).glob("*.pt"))


def wait_for_checkpoint(run: RunModule, process: subprocess.Popen) -> None:
    """Wait for a new checkpoint."""
    before, end = set(run.checkpoints()), time.monotonic() + TIMEOUT
    while not set(run.checkpoints()) - before:
        assert process.poll() is None and time.monotonic() < end, run.errors.read_text()
        time.sleep(0.02)


def test_a_run_preempted_by_signals_equals_an_uninterrupted_one(folder, tmp_path):
    run = RunModule(build_slow_cell(folder, seed=1), tmp_path)
    process = run.start("--checkpoint-every", "0")
    wait_for_checkpoint(run, process)
    process.kill()  # without a chance to save
    process.wait()
    for number in (signal.SIGTERM, signal.SIGUSR2):
        process = run.start("--checkpoint-every", "0")
        wait_for_checkpoint(run, process)
        process.send_signal(number)
        assert process.wait() == ExitCode.PREEMPTED, run.errors.read_text()
        assert "interrupted; run the same command again to resume" in run.errors.read_text()
        assert run.store.status(run.cell.key) is None and len(run.checkpoints()) == 1
    assert run.start().wait() == 0, run.errors.read_text()
    record = run.store.read(run.cell.key)
    assert record.cost.resumed == 3 and not run.store.checkpoints(run.cell.key).exists()
    assert record.cost.seconds.training >= 20 * 0.1
    (tmp_path / "other").mkdir()
    uninterrupted = RunModule(run.cell, tmp_path / "other")
    assert uninterrupted.start().wait() == 0
    assert comparable_fields(record) == comparable_fields(uninterrupted.store.read(run.cell.key))


def test_a_signal_before_the_run_has_a_state_ends_it_at_once(folder, tmp_path):
    cell = build_cell("digits", "mlp", baseline="majority_class")
    code = (
        "import os, signal, sys; import quintain.model as build;"
        "build.instantiate = lambda *_: os.kill(os.getpid(), signal.SIGTERM);"
        "from quintain.run.__main__ import main; sys.exit(main())"
    )
    file = tmp_path / "cell.json"
    file.write_text(cell.to_json())
    command = [sys.executable, "-c", code, str(file), "--store", str(tmp_path / "s")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == ExitCode.PREEMPTED, result.stderr
    assert not Store(tmp_path / "s").all()


def ended_events(pool: LocalPool, cells: list[Cell], stopped=lambda: 0) -> list[Event]:
    return [e for e in pool.run(cells, stopped) if e.kind == "ended"]


def test_an_interrupted_sweep_saves_the_state_of_running_cells(folder, tmp_path):
    store, cell = Store(tmp_path / "store"), build_slow_cell(folder, seed=3)
    steps: list[int] = []
    for event in LocalPool(store, workers=1).run([cell], lambda: len(steps) > 0):
        if event.kind == "step":
            steps.append(event.step)
    files = list(store.checkpoints(cell.key).glob("*.pt"))
    assert len(files) == 1 and store.status(cell.key) is None
    claim = store.claim(cell.key)
    assert claim is not None
    claim.release()
    assert [e.ending for e in ended_events(LocalPool(store, workers=1), [cell])] == ["ok"]
    record = store.read(cell.key)
    assert record.cost.resumed == 1
    note = record.trust["interruptions"].note
    assert note == f"resumed 1 time, last at step {int(files[0].name.partition('-')[0])}"


def test_a_forced_run_does_not_resume_from_an_unforced_one(folder, tmp_path):
    store, cell = Store(tmp_path), build_slow_cell(folder, seed=8)
    steps: list[int] = []
    for event in LocalPool(store, workers=1).run([cell], lambda: len(steps) > 0):
        if event.kind == "step":
            steps.append(event.step)
    assert len(list(store.checkpoints(cell.key).glob("*.pt"))) == 1
    forced = LocalPool(store, workers=1, force=True)
    assert [e.ending for e in ended_events(forced, [cell])] == ["ok"]
    assert store.read(cell.key).cost.resumed == 0


def test_an_interrupted_forced_run_is_resumed(folder, tmp_path):
    store, cell = Store(tmp_path), build_slow_cell(folder, seed=9)
    assert [e.ending for e in ended_events(LocalPool(store, workers=1), [cell])] == ["ok"]
    steps: list[int] = []
    for event in LocalPool(store, workers=1, force=True).run([cell], lambda: len(steps) > 0):
        if event.kind == "step":
            steps.append(event.step)
    assert len(list(store.checkpoints(cell.key).glob("*.pt"))) == 1
    forced = LocalPool(store, workers=1, force=True)
    assert [e.ending for e in ended_events(forced, [cell])] == ["ok"]
    assert store.read(cell.key).cost.resumed == 1


def test_a_second_interrupt_kills_runs_at_once(folder, tmp_path):
    """The run ends even though a step takes an hour and the grace is endless."""
    store, trains = Store(tmp_path / "store"), tmp_path / "trains"
    cell = build_slow_cell(folder, 4, "StopsInTraining", note=str(trains))
    pool = LocalPool(store, workers=1, limits=Limits(grace=math.inf))
    runs, interrupts = [], []

    def stopped() -> int:
        if not trains.exists():
            return 0
        interrupts.append(1 if len(interrupts) < 4 else 2)
        assert interrupts.count(2) <= 1, "the pool continued after the second interrupt"
        return interrupts[-1]

    for _ in pool.run([cell], stopped):
        runs += [run.process for run in pool._running if run.process not in runs]
        assert not interrupts or runs[0].is_alive()  # the first interrupt does not kill
    assert interrupts[-1] == 2 and runs[0].exitcode == -signal.SIGKILL
    assert store.status(cell.key) is None


def test_a_run_preempted_from_outside_is_resumed(folder, tmp_path):
    store, cell = Store(tmp_path / "store"), build_slow_cell(folder, seed=5)
    pool, signalled, ended = LocalPool(store, workers=1), [], []
    for event in pool.run([cell], lambda: 0):
        if event.kind == "step" and not signalled:
            signalled.append(pool._running[0].process.pid)
            os.kill(signalled[0], signal.SIGTERM)
        if event.kind == "ended":
            ended.append(event)
    assert [e.ending for e in ended] == ["ok"]
    assert store.read(cell.key).cost.resumed == 1
