"""Sweeps as users start them: interrupted, killed, two at once, on failing disks."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell
from helpers.commands import enable_ctrl_c
from helpers.file_systems import mount_tmpfs
from rich.console import Console

from quintain.errors import StoreError
from quintain.launch import sweep
from quintain.launch.events import Event, SweepOutcome
from quintain.launch.sweep import print_summary, run_plan
from quintain.plan.plan import Plan, PlannedCell, Settings
from quintain.records.store import Store

COMMON = ["dataset=digits", "budget.steps=12", "budget.params=null", "budget.validations=1"]
COMMON += ["wandb.mode=disabled", "hardware=cpu", "launch.workers=2"]
TIMEOUT = 600.0  # seconds for anything that must happen, on a slow machine too


class Sweep:
    """A `quintain sweep` in a process of its own, its output read line by line."""

    def __init__(self, store: Path, plugins: Path, *arguments: str, **options) -> None:
        command = [sys.executable, "-m", "quintain", "sweep", *COMMON, f"store={store}", *arguments]
        environment = os.environ | {"QUINTAIN_PLUGINS": str(plugins), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            cwd=store.parent,
            start_new_session=True,  # a terminal's process group of its own
            preexec_fn=enable_ctrl_c,
            **options,
        )
        self.lines: list[str] = []

    def read_until(self, text: str, count: int = 1) -> None:
        """Read lines until one contains the text, `count` times."""
        for line in self.process.stdout:
            self.lines.append(line)
            count -= text in line
            if not count:
                return
        raise AssertionError(f"no {text!r} in {self.lines}")

    def wait_for_file(self, file: Path) -> None:
        """Wait for a file that a run writes."""
        while not file.exists():
            assert self.process.poll() is None, self.lines
            time.sleep(0.02)

    def wait(self) -> int:
        self.lines += self.process.communicate(timeout=TIMEOUT)[0].splitlines(keepends=True)
        return self.process.returncode

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def have_ended(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=TIMEOUT)[1]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plugins") / "mine"
    return failing_plugins.write_models(folder, fast="Good", slow="Good pause=0.15", bad="Raises",
                             stuck="HangsInC", slept="HangsWhenBuilt")  # fmt: skip


def statuses(store: Path) -> Counter[str]:
    return Counter(record.status for record in Store(store).all())


def test_interrupted_and_killed_sweeps_and_two_at_once_lose_nothing(tmp_path, plugins):
    store, arguments = tmp_path / "store", ("model=fast,slow,bad", "seed=1,2", "--no-baselines")

    first = Sweep(store, plugins, *arguments)
    first.read_until("ok", count=2)
    deadline = time.monotonic() + TIMEOUT
    while len(processes := first.processes()) < 3:  # the fork server and the runs that come next
        assert time.monotonic() < deadline, processes
        time.sleep(0.02)
    os.killpg(first.process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: to all of them
    assert first.wait() == 130, first.lines
    assert "interrupted; finished cells are in the store" in "".join(first.lines)
    assert "Traceback" not in "".join(first.lines)
    assert have_ended(processes)
    num_finished = statuses(store)["ok"]
    assert num_finished >= 2  # on a slow machine a third may have ended meanwhile

    before = len(failing_plugins.built_models(plugins))
    with failing_plugins.hold_runs(plugins):  # their checkpoints may be at the last step but one
        second = Sweep(store, plugins, *arguments)
        while len(failing_plugins.built_models(plugins)) < before + 2:
            assert second.process.poll() is None
            time.sleep(0.02)
        processes = second.processes()
        second.process.kill()
        second.process.communicate()
        assert have_ended(processes)
    assert statuses(store)["ok"] == num_finished

    before = len(failing_plugins.built_models(plugins))
    sweeps = [Sweep(store, plugins, "model=fast,slow", "seed=1,2", "--no-baselines") for _ in "ab"]
    assert [sweep.wait() for sweep in sweeps] == [0, 0], [sweep.lines for sweep in sweeps]
    assert (
        len(failing_plugins.built_models(plugins)) == before + 4 - num_finished
    )  # each slow cell once
    assert statuses(store)["ok"] == 4
    assert all(Store(store).claim(record.key) for record in Store(store).all())


@pytest.mark.parametrize("target", ["the whole group", "every process"])
def test_sigterm_to_the_group_or_all_processes_saves_running_cells(target, tmp_path, plugins):
    """`timeout` signals the process group; systemd every process, the fork server included."""
    store = tmp_path / "store"
    with failing_plugins.hold_runs(plugins) as waiting:
        sweep = Sweep(store, plugins, "model=slow", "seed=3", "--no-baselines")
        sweep.wait_for_file(waiting)
        processes = sweep.processes()
        if target == "the whole group":
            os.killpg(sweep.process.pid, signal.SIGTERM)
        else:
            for process in (sweep.process, *processes):
                process.terminate()
        sweep.read_until("stopping")
    assert sweep.wait() == 130, sweep.lines
    assert have_ended(processes)
    assert not Store(store).all() and len(list((store / "checkpoints").rglob("*.pt"))) == 1


@pytest.mark.parametrize(
    ("model", "note"), [("stuck", "hangs_in_c.txt"), ("slept", "hangs_when_built.txt")]
)
def test_no_process_of_a_killed_sweep_stays_alive(model, note, tmp_path, plugins):
    """A run that hangs in C cannot watch its parent, so the kernel ends it with the server. The
    other sweep is killed in preflight.
    """
    sweep = Sweep(tmp_path / "store", plugins, f"model={model}", "seed=4", "--no-baselines")
    sweep.wait_for_file(plugins / "plugins" / "model" / note)
    processes = sweep.processes()
    sweep.process.kill()
    sweep.process.communicate()
    assert have_ended(processes)


def test_failed_cells_fail_the_sweep_and_run_again(tmp_path, plugins):
    store = tmp_path / "store"
    master, slave = pty.openpty()
    arguments = [*COMMON, f"store={store}", "model=fast,bad", "launch.workers=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "quintain", "sweep", *arguments],
        env=os.environ | {"QUINTAIN_PLUGINS": str(plugins), "TERM": "xterm", "COLUMNS": "100"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=tmp_path,
    )
    os.close(slave)
    output = read_all(master)
    assert process.wait(timeout=TIMEOUT) == 1, output
    assert "digits" in output and "cells done" in output  # the live grid
    assert "failed: digits/bad/cpu/s1:" in output and "Traceback" not in output
    assert "4 cells: 4 ran" in output and "1 failed" in output
    assert statuses(store) == {"ok": 3, "failed": 1}
    assert all((store / "logs").iterdir())


def read_all(master: int) -> str:
    """Return everything a pseudo-terminal shows until its last process has ended."""
    output, deadline = b"", time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if select.select([master], [], [], 1)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # Linux's end of a terminal
                break
            if not part:
                break
            output += part
    os.close(master)
    return output.decode(errors="replace")


def test_ctrl_c_while_planning_ends_all_processes(tmp_path, plugins):
    started = Sweep(tmp_path / "store", plugins, "model=fast")
    deadline = time.monotonic() + TIMEOUT
    while not started.processes() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)  # somewhere in the fork server's import of torch
    processes = started.processes()
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.wait() == 130, started.lines
    assert "Traceback" not in "".join(started.lines)
    assert have_ended(processes)
    assert not list((tmp_path / "store").glob("records/*/*.json"))


def build_plan(store: Path, *cells, skipped=(), **settings) -> Plan:
    planned = [PlannedCell(c, "run") for c in cells]
    planned += [PlannedCell(c, "skipped", reason="needs a grid") for c in skipped]
    limits = {"time_limit": None, "memory_limit": None, "hang_limit": None}
    limits |= {"grace": 1.0, "checkpoint_every": None}
    chosen = {"workers": 2, "wandb": {"mode": "disabled"}} | limits | settings
    return Plan(Settings(store=store, **chosen), planned)


def small_cell(seed: int = 1):
    return build_cell("digits", "mlp", seed=seed, budget={"steps": 1})


def test_a_full_disk_is_reported_before_anything_runs(tmp_path):
    with mount_tmpfs(tmp_path / "disk", "size=64k") as disk:
        (disk / "filler").write_bytes(b"x" * 48 * 1024)
        with pytest.raises(StoreError, match="full disk: free some space"):
            run_plan(build_plan(disk / "store", small_cell()), Console(file=io.StringIO()))
        assert not [p for p in disk.rglob("*") if p.suffix in (".json", ".tmp")]


def test_a_read_only_store_is_reported_before_anything_runs(tmp_path):
    with mount_tmpfs(tmp_path / "disk", "size=64k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError, match="read-only"):
            run_plan(build_plan(disk / "store", small_cell()), Console(file=io.StringIO()))


def test_a_disk_that_fills_up_during_the_sweep(tmp_path, monkeypatch):
    with mount_tmpfs(tmp_path / "disk", "size=256k") as disk:
        store = Store(disk / "store")
        monkeypatch.setattr(sweep, "write_plan", lambda plan: fill(disk))
        output = io.StringIO()
        plan = build_plan(store.path, small_cell(1), small_cell(2))
        outcome = run_plan(plan, Console(file=output, width=200))
        assert outcome.exit_code == 1
        assert set(outcome.endings.values()) == {"unwritten"}
        assert "on a full disk: free some space" in output.getvalue()
        assert not [p for p in disk.rglob("*") if p.suffix in (".tmp", ".json")]
        assert not store.all()


def test_cells_with_the_same_failure_are_summarized_once(tmp_path):
    outcome, output = SweepOutcome(), io.StringIO()
    for number, message in enumerate(("no data", "other", "no data", "no data\nand more")):
        failure = Event("ended", small_cell(number), ending="failed", message=message)
        outcome.add(failure)
    print_summary(
        build_plan(tmp_path, *map(small_cell, range(4))), outcome, Console(file=output, width=200)
    )
    failures = [line for line in output.getvalue().splitlines() if line.startswith("failed: ")]
    first = small_cell(0).label
    assert failures == [
        f"failed: {first} and 2 more: no data",
        f"failed: {small_cell(1).label}: other",
    ]


def fill(disk: Path) -> None:
    """Fill the disk so that only file names fit."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"x" * free)


def test_skipped_cells_are_recorded_even_if_nothing_runs(tmp_path):
    skipped = small_cell()
    outcome = run_plan(build_plan(tmp_path / "s", skipped=[skipped]), Console(file=io.StringIO()))
    assert outcome.exit_code == 0 and not outcome.endings
    record = Store(tmp_path / "s").read(skipped.key)
    assert (record.status, record.reason) == ("skipped", "needs a grid")


def test_exit_codes_of_a_sweep():
    cell = small_cell()
    outcome = SweepOutcome()
    assert outcome.exit_code == 0
    outcome.add(Event("ended", cell, ending="ok"))
    outcome.add(Event("ended", cell, ending="skipped", message="because"))
    assert outcome.exit_code == 0
    outcome.add(Event("ended", cell, ending="unwritten", message="no room"))
    assert outcome.exit_code == 1
    outcome.interrupted = True
    assert outcome.exit_code == 130


def test_signal_handlers_are_restored(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_plan(build_plan(tmp_path / "s", skipped=[small_cell()]), Console(file=io.StringIO()))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
