"""Sweeps as a user starts them: interrupted, killed, two at once, on disks that fail."""

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
from contextlib import contextmanager
from pathlib import Path

import bad_plugins
import psutil
import pytest
from cells_factory import cell
from rich.console import Console
from words import hear_ctrl_c

from quintain.compose.plan import Plan, Planned, Settings
from quintain.launch import sweep
from quintain.launch.events import Event
from quintain.launch.sweep import Outcome, run_plan, say
from quintain.records.store import Store, StoreError

WORDS = ["dataset=digits", "budget.steps=12", "budget.params=null", "budget.validations=1"]
WORDS += ["wandb.mode=disabled", "hardware=cpu", "launch.workers=2"]
WAIT = 600.0  # seconds for anything that must happen, on a slow machine too


class Sweep:
    """A `quintain sweep` in a process of its own, its words read line by line."""

    def __init__(self, store: Path, plugins: Path, *words: str, **options) -> None:
        command = [sys.executable, "-m", "quintain", "sweep", *WORDS, f"store={store}", *words]
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
            preexec_fn=hear_ctrl_c,
            **options,
        )
        self.lines: list[str] = []

    def until(self, words: str, count: int = 1) -> None:
        """Read on until a line with these words has come."""
        for line in self.process.stdout:
            self.lines.append(line)
            count -= words in line
            if not count:
                return
        raise AssertionError(f"no {words!r} in {self.lines}")

    def until_there(self, file: Path) -> None:
        """Wait for a file that a run makes."""
        while not file.exists():
            assert self.process.poll() is None, self.lines
            time.sleep(0.02)

    def end(self) -> int:
        self.lines += self.process.communicate(timeout=WAIT)[0].splitlines(keepends=True)
        return self.process.returncode

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=WAIT)[1]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plugins") / "mine"
    return bad_plugins.write(folder, fast="Good", slow="Good pause=0.15", bad="Raises",
                             stuck="HangsInC", slept="SleepsWhenBuilt")  # fmt: skip


def statuses(store: Path) -> Counter[str]:
    return Counter(record.status for record in Store(store).all())


def test_interrupted_then_killed_then_two_at_once(tmp_path, plugins):
    store, words = tmp_path / "store", ("model=fast,slow,bad", "seed=1,2", "--no-references")

    first = Sweep(store, plugins, *words)
    first.until("ok", count=2)
    deadline = time.monotonic() + WAIT
    while len(family := first.family()) < 3:  # the fork server and the runs that come next
        assert time.monotonic() < deadline, family
        time.sleep(0.02)
    os.killpg(first.process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: to all of them
    assert first.end() == 130, first.lines
    assert "interrupted; what had finished is kept" in first.lines[-1]
    assert "Traceback" not in "".join(first.lines)
    assert gone(family)
    assert (
        kept := statuses(store)["ok"]
    ) >= 2  # on a slow machine a third may have ended meanwhile

    before = len(bad_plugins.built(plugins))
    with bad_plugins.held(
        plugins
    ):  # what the first one has left may be short of its last step only
        second = Sweep(store, plugins, *words)
        while len(bad_plugins.built(plugins)) < before + 2:
            assert second.process.poll() is None
            time.sleep(0.02)
        family = second.family()
        second.process.kill()
        second.process.communicate()
        assert gone(family)
    assert statuses(store)["ok"] == kept

    before = len(bad_plugins.built(plugins))
    both = [Sweep(store, plugins, "model=fast,slow", "seed=1,2", "--no-references") for _ in "ab"]
    assert [one.end() for one in both] == [0, 0], [one.lines for one in both]
    assert len(bad_plugins.built(plugins)) == before + 4 - kept  # each slow cell once
    assert statuses(store)["ok"] == 4
    assert all(Store(store).claim(record.key) for record in Store(store).all())


@pytest.mark.parametrize("to", ["the whole group", "every process"])
def test_sigterm_to_more_than_the_sweep_keeps_what_runs(to, tmp_path, plugins):
    """As `timeout` sends it, and as systemd does, to the fork server too."""
    store = tmp_path / "store"
    with bad_plugins.held(plugins) as waits:
        sweep = Sweep(store, plugins, "model=slow", "seed=3", "--no-references")
        sweep.until_there(waits)
        family = sweep.family()
        if to == "the whole group":
            os.killpg(sweep.process.pid, signal.SIGTERM)
        else:
            for one in (sweep.process, *family):
                one.terminate()
        sweep.until("asked to end")
    assert sweep.end() == 130, sweep.lines
    assert gone(family)
    assert not Store(store).all() and len(list((store / "checkpoints").rglob("*.pt"))) == 1


@pytest.mark.parametrize(("model", "note"), [("stuck", "hangs_in_c.txt"), ("slept", "sleeps.txt")])
def test_nothing_is_left_of_a_killed_sweep(model, note, tmp_path, plugins):
    """In a run that hangs in C, whose watching thread gets no turn: the kernel ends it with the
    server. And in preflight.
    """
    sweep = Sweep(tmp_path / "store", plugins, f"model={model}", "seed=4", "--no-references")
    sweep.until_there(plugins / "plugins" / "model" / note)
    family = sweep.family()
    sweep.process.kill()
    sweep.process.communicate()
    assert gone(family)


def test_failed_cells_fail_the_sweep_and_run_again(tmp_path, plugins):
    store = tmp_path / "store"
    master, slave = pty.openpty()
    words = [*WORDS, f"store={store}", "model=fast,bad", "launch.workers=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "quintain", "sweep", *words],
        env=os.environ | {"QUINTAIN_PLUGINS": str(plugins), "TERM": "xterm", "COLUMNS": "100"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=tmp_path,
    )
    os.close(slave)
    seen = read_all(master)
    assert process.wait(timeout=WAIT) == 1, seen
    assert "digits" in seen and "cells done" in seen  # the live grid
    assert "failed: digits/bad/cpu/s1:" in seen and "Traceback" not in seen
    assert "4 cells: 4 ran" in seen and "1 failed" in seen
    assert statuses(store) == {"ok": 3, "failed": 1}
    assert all((store / "logs").iterdir())


def read_all(master: int) -> str:
    """Everything a pseudo-terminal shows until its last process has gone."""
    seen, end = b"", time.monotonic() + WAIT
    while time.monotonic() < end:
        if select.select([master], [], [], 1)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # Linux's end of a terminal
                break
            if not part:
                break
            seen += part
    os.close(master)
    return seen.decode(errors="replace")


def test_ctrl_c_while_planning(tmp_path, plugins):
    started = Sweep(tmp_path / "store", plugins, "model=fast")
    end = time.monotonic() + WAIT
    while not started.family() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.5)  # somewhere in the fork server's import of torch; anywhere must do
    family = started.family()
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.end() == 130, started.lines
    assert "Traceback" not in "".join(started.lines)
    assert gone(family)
    assert not list((tmp_path / "store").glob("records/*/*.json"))


def plan(store: Path, *cells, skipped=(), **settings) -> Plan:
    planned = [Planned(c, "run") for c in cells]
    planned += [Planned(c, "skipped", reason="needs a grid") for c in skipped]
    limits = {"time_limit": None, "memory_limit": None, "hang_limit": None}
    limits |= {"grace": 1.0, "checkpoint_every": None}
    chosen = {"workers": 2, "wandb": {"mode": "disabled"}} | limits | settings
    return Plan(Settings(store=store, **chosen), planned)


def small(seed: int = 1):
    return cell("digits", "mlp", seed=seed, budget={"steps": 1})


@contextmanager
def tmpfs(folder: Path, options: str):
    """A small file system of our own."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_store_is_a_sentence_before_anything_runs(tmp_path):
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        (disk / "filler").write_bytes(b"x" * 48 * 1024)
        with pytest.raises(StoreError, match="full disk: free some space"):
            run_plan(plan(disk / "store", small()), Console(file=io.StringIO()))
        assert not [p for p in disk.rglob("*") if p.suffix in (".json", ".tmp")]


def test_a_read_only_store_is_a_sentence_before_anything_runs(tmp_path):
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError, match="read-only"):
            run_plan(plan(disk / "store", small()), Console(file=io.StringIO()))


def test_a_disk_that_fills_up_on_the_way(tmp_path, monkeypatch):
    with tmpfs(tmp_path / "disk", "size=256k") as disk:
        store = Store(disk / "store")
        monkeypatch.setattr(sweep, "write_plan", lambda todo: fill(disk))
        words = io.StringIO()
        todo = plan(store.path, small(1), small(2))
        outcome = run_plan(todo, Console(file=words, width=200))
        say(todo, outcome, Console(file=words, width=200))
        assert outcome.exit_code == 1
        assert set(outcome.endings.values()) == {"unwritten"}
        assert "on a full disk: free some space" in words.getvalue()
        assert not [p for p in disk.rglob("*") if p.suffix in (".tmp", ".json")]
        assert not store.all()


def test_cells_that_failed_in_one_way_are_said_once(tmp_path):
    outcome, words = Outcome(), io.StringIO()
    for number, sentence in enumerate(("no data", "other", "no data", "no data\nand more")):
        failure = Event("ended", small(number), ending="failed", sentence=sentence)
        outcome.take(failure)
    say(plan(tmp_path, *map(small, range(4))), outcome, Console(file=words, width=200))
    told = [line for line in words.getvalue().splitlines() if line.startswith("failed: ")]
    first = small(0).label
    assert told == [f"failed: {first} and 2 more: no data", f"failed: {small(1).label}: other"]


def fill(disk: Path) -> None:
    """Leave room for names of files only."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"x" * free)


def test_skipped_cells_are_recorded_and_a_sweep_of_nothing_is_fine(tmp_path):
    skipped = small()
    outcome = run_plan(plan(tmp_path / "s", skipped=[skipped]), Console(file=io.StringIO()))
    assert outcome.exit_code == 0 and not outcome.endings
    record = Store(tmp_path / "s").read(skipped.key)
    assert (record.status, record.reason) == ("skipped", "needs a grid")


def test_exit_codes():
    made = small()
    outcome = Outcome()
    assert outcome.exit_code == 0
    outcome.take(Event("ended", made, ending="ok"))
    outcome.take(Event("ended", made, ending="skipped", sentence="because"))
    assert outcome.exit_code == 0
    outcome.take(Event("ended", made, ending="unwritten", sentence="no room"))
    assert outcome.exit_code == 1
    outcome.interrupted = True
    assert outcome.exit_code == 130


def test_handlers_of_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_plan(plan(tmp_path / "s", skipped=[small()]), Console(file=io.StringIO()))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
