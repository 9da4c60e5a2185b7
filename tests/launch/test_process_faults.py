"""Sweeps whose terminal is closed or that are stopped, and processes that must end with them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell

from quintain.compose.plugin_providers import register_local_plugins
from quintain.errors import UsageError
from quintain.launch import fork_server, limits
from quintain.launch.limits import AwakeClock, Limits
from quintain.launch.local import LocalPool
from quintain.launch.planning import LaunchServices
from quintain.records.store import Store

COMMON = ["dataset=digits", "budget.steps=12", "budget.params=null", "budget.validations=1"]
COMMON += ["wandb.mode=disabled", "hardware=cpu", "launch.workers=1", "--no-baselines"]
TIMEOUT = 600.0


@pytest.fixture(scope="module")
def plugins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("process_faults") / "mine"
    failing_plugins.write_models(
        folder, slow="Good pause=0.15", leaves="LeavesSession how=ends",
        exits="LeavesSession how=exits", hangs="LeavesSession how=hangs",
        hangs_in_c="LeavesSession how=hangs_in_c",
    )  # fmt: skip
    patch = pytest.MonkeyPatch()
    patch.setenv("QUINTAIN_PLUGINS", str(folder))
    register_local_plugins()
    yield folder
    patch.undo()


def start_sweep(store: Path, plugins: Path, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "quintain", "sweep", *COMMON, f"store={store}", *arguments]
    environment = os.environ | {"QUINTAIN_PLUGINS": str(plugins)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
    return subprocess.Popen(
        command, env=environment, cwd=store.parent, start_new_session=True, **options
    )


def wait_for(condition) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(
    signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="under nohup, SIGHUP is ignored"
)
def test_closing_the_terminal_saves_the_running_cells(tmp_path, plugins):
    master, slave = pty.openpty()
    store = tmp_path / "store"
    with failing_plugins.hold_runs(plugins) as waiting:
        sweep = start_sweep(store, plugins, "model=slow", stdout=slave, stderr=slave, stdin=slave)
        wait_for(waiting.exists)
        processes = psutil.Process(sweep.pid).children(recursive=True)
        os.close(slave)
        os.close(master)  # from now on the sweep cannot print
        os.killpg(sweep.pid, signal.SIGHUP)
        time.sleep(0.5)
    assert sweep.wait(TIMEOUT) == 130
    assert not psutil.wait_procs(processes, timeout=TIMEOUT)[1]
    assert not Store(store).all() and len(list((store / "checkpoints").rglob("*.pt"))) == 1


def test_a_hangup_that_is_ignored_does_not_stop_a_sweep(tmp_path, plugins):
    """As under `nohup`."""
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    store = tmp_path / "store"
    with failing_plugins.hold_runs(plugins) as waiting:
        sweep = start_sweep(store, plugins, "model=slow", preexec_fn=ignore)
        wait_for(waiting.exists)
        for process in (psutil.Process(sweep.pid), *psutil.Process(sweep.pid).children(True)):
            process.send_signal(signal.SIGHUP)
    output = sweep.communicate(timeout=TIMEOUT)[0]
    assert sweep.returncode == 0, output
    assert [record.status for record in Store(store).all()] == ["ok"]


def test_a_clock_counts_five_seconds_at_most_between_two_readings(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    clock = AwakeClock()
    now[0] += 3.0
    assert clock.read() == 3.0
    now[0] += 3600.0  # the process was stopped for an hour
    assert clock.read() == 8.0
    now[0] += 2.0
    assert clock.read() == 10.0


def test_a_sweep_that_was_stopped_for_a_while_accuses_no_run_of_a_timeout(
    tmp_path, plugins, monkeypatch
):
    """The pool is not asked for events for longer than the limits, while a run waits."""
    monkeypatch.setattr(limits, "MAX_GAP", 0.3)
    cell = build_cell(
        "digits", "slow", target="quintain_local.model.bad.Good", plugins=plugins, seed=3
    )
    pool = LocalPool(Store(tmp_path), workers=1, limits=Limits(time=60.0, hang=2.0))
    hold, held = (plugins / "plugins" / "model" / name for name in ("hold", "held"))
    held.unlink(missing_ok=True)
    hold.touch()
    endings = []
    for event in pool.run([cell], lambda: 0):
        if hold.exists() and held.exists():
            time.sleep(4.0)  # as after SIGSTOP
            hold.unlink()
        if event.kind == "ended":
            endings.append(event.ending)
    assert not hold.exists() and endings == ["ok"]


@pytest.mark.parametrize("how", ["ends", "exits", "hangs"])
def test_a_program_with_a_session_of_its_own_ends_with_its_run(how, tmp_path, plugins):
    file = plugins / "plugins" / "model" / f"leaves_session_{how}.txt"
    file.unlink(missing_ok=True)
    cell = build_cell(
        "digits", how, target="quintain_local.model.bad.LeavesSession", plugins=plugins
    )
    cell.config["model"]["how"] = how
    pool = LocalPool(Store(tmp_path), workers=1, limits=Limits(grace=0.2))
    list(pool.run([cell], lambda: how == "hangs" and file.exists()))
    wait_for(lambda: not is_alive(int(file.read_text())))


@pytest.mark.parametrize("how", ["hangs", "hangs_in_c"])
def test_a_program_with_a_session_of_its_own_ends_with_a_killed_sweep(how, tmp_path, plugins):
    file = plugins / "plugins" / "model" / f"leaves_session_{how}.txt"
    file.unlink(missing_ok=True)
    sweep = start_sweep(tmp_path / "store", plugins, f"model={how}", "seed=5")
    wait_for(lambda: file.exists() and file.read_text())
    sweep.kill()
    sweep.communicate()
    wait_for(lambda: not is_alive(int(file.read_text())))


def test_a_fork_server_that_is_killed_while_planning_is_started_again(tmp_path, plugins):
    sweep = start_sweep(tmp_path / "store", plugins, "model=slow", "seed=6,7")
    wait_for(lambda: find_server(sweep.pid) is not None)
    find_server(sweep.pid).kill()
    output = sweep.communicate(timeout=TIMEOUT)[0].decode()
    assert sweep.returncode == 0 and "Traceback" not in output, output


def test_a_fork_server_that_is_killed_each_time_is_one_sentence(monkeypatch):
    def start(process):
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(fork_server.ForkServerProcess, "_Popen", start)
    monkeypatch.setattr(fork_server, "RESTART_PAUSE", 0.01)
    cell = build_cell("digits", "mlp")
    with pytest.raises(UsageError, match="starts all runs, was killed 3 times"):
        LaunchServices().preflight([cell])


def find_server(pid: int) -> psutil.Process | None:
    for child in psutil.Process(pid).children():
        if any("forkserver" in word for word in child.cmdline()):
            return child
    return None


def test_the_fork_server_ends_with_a_sweep_that_is_killed_while_it_imports(tmp_path, plugins):
    sweep = start_sweep(tmp_path / "store", plugins, "model=slow", "seed=8")
    wait_for(lambda: find_server(sweep.pid) is not None)
    server = find_server(sweep.pid)
    wait_for(lambda: os.getpgid(server.pid) == server.pid)  # its first import
    sweep.kill()
    start = time.monotonic()
    sweep.communicate()
    wait_for(lambda: not is_alive(server.pid))
    assert time.monotonic() - start < TIMEOUT
