"""Cells that fail in every way, in real processes: each leaves a record and the sweep continues."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell

from quintain.compose.plugin_providers import register_local_plugins
from quintain.launch import local
from quintain.launch.events import Event
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.plan.cell import Cell
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.run.log import MAX_BYTES
from quintain.run.runner import redact_log

SECRET = "hunter2-and-more"
LIMIT = 0.5
EXPECTED = {  # class → kind of the failure, and part of its message
    "Hangs": ("timeout", "longer than its limit of 0.5 s (launch.time_limit)"),
    "HangsInC": ("timeout", "longer than its limit"),
    "Raises": ("exception", "a bug in the model"),
    "PrintsSecret": ("exception", "enough"),
    "Exits": ("killed", "exit code 3 before it wrote its record"),
    "SysExits": ("exception", "4"),
    "Killed": ("killed", "signal SIGKILL before"),
    "Segfaults": ("killed", "signal SIGSEGV"),
    "LeavesChild": ("killed", "exit code 0"),
    "NanLoss": ("nan", "training loss is nan at step 1"),
    "OutOfMemory": ("oom", ""),
    "DataProblem": ("data", "the file is short"),
    "ClosesFiles": ("killed", "exit code 5"),
}
FINE = ("Good", "PrintsMegabytes", "NeverExits")


def build_failing_cell(name: str, folder: Path, seed: int = 1) -> Cell:
    cell = build_cell(
        "digits", name, target=f"quintain_local.model.bad.{name}", plugins=folder, seed=seed
    )
    cell.config["hardware"].pop("card")
    return cell


@dataclass(frozen=True, kw_only=True)
class LimitsOfHangingRuns(Limits):
    """Limits that apply only to runs that hang, so that the tests pass on a slow machine."""

    folder: Path

    def find_violation(self, pid: int, seconds: float, idle: float) -> tuple[str, str] | None:
        contents = [file.read_text().split() for file in self.folder.glob("hangs*.txt")]
        hanging = [pids[0] for pids in contents if pids]
        return super().find_violation(pid, seconds, idle) if str(pid) in hanging else None


class FailingSweep:
    """One sweep of all failing cells, with its events and endings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mine"
        self.store = Store(folder / "store")
        names = [*EXPECTED, "IsUnsupported", *FINE]
        self.cells = {name: build_failing_cell(name, self.folder) for name in names}
        stuck = self.folder / "plugins" / "model"
        pool = LocalPool(
            self.store, workers=3, limits=LimitsOfHangingRuns(time=LIMIT, folder=stuck)
        )
        self.events: list[Event] = []
        self.most_running = 0
        running: set[str] = set()
        for event in pool.run(list(self.cells.values()), stop_requests=lambda: False):
            self.events.append(event)
            if event.kind == "started":
                running.add(event.cell.key)
            elif event.kind == "ended":
                running.discard(event.cell.key)
            self.most_running = max(self.most_running, len(running))
        self.endings = {e.cell.names["model"]: e for e in self.events if e.kind == "ended"}

    def record(self, name: str) -> Record:
        record = self.store.read(self.cells[name].key)
        assert record is not None
        return record

    def log(self, name: str) -> str:
        return (self.store.path / "logs" / f"{self.cells[name].key}.log").read_text()


@pytest.fixture(scope="module")
def failing_sweep(tmp_path_factory) -> FailingSweep:
    patch = pytest.MonkeyPatch()
    patch.setenv("BAD_API_KEY", SECRET)  # before the fork server starts
    patch.setattr(local, "EXIT_TIMEOUT", 1.0)
    folder = tmp_path_factory.mktemp("faults")
    patch.setenv("QUINTAIN_PLUGINS", str(failing_plugins.write_models(folder / "mine")))
    register_local_plugins()
    try:
        yield FailingSweep(folder)
    finally:
        patch.undo()


@pytest.mark.parametrize("name", EXPECTED)
def test_each_failure_is_a_record_of_its_kind(failing_sweep, name):
    kind, text = EXPECTED[name]
    record = failing_sweep.record(name)
    assert (record.status, record.error.kind) == ("failed", kind)
    assert text in record.error.message
    assert failing_sweep.endings[name].ending == "failed"
    assert text in failing_sweep.endings[name].message


@pytest.mark.parametrize("name", FINE)
def test_other_cells_finish(failing_sweep, name):
    assert failing_sweep.record(name).status == failing_sweep.endings[name].ending == "ok"


def test_three_cells_run_at_once_each_in_its_own_single_threaded_process(failing_sweep):
    assert failing_sweep.most_running == 3
    rows = failing_plugins.built_models(failing_sweep.folder)
    assert len({pid for _, pid, _ in rows}) == len(rows) == len(failing_sweep.cells)
    assert {threads for _, _, threads in rows} == {"1"}


def test_unsupported_data_found_in_the_run_is_a_skipped_record(failing_sweep):
    assert failing_sweep.record("IsUnsupported").status == "skipped"
    assert failing_sweep.record("IsUnsupported").reason == "not on this data"


def test_no_process_of_a_failed_cell_stays_alive(failing_sweep):
    for name in ("hangs", "hangs_in_c", "leaves_child"):
        file = failing_sweep.folder / "plugins" / "model" / f"{name}.txt"
        for pid in file.read_text().split():
            assert not _alive(int(pid)), name


def test_steps_are_reported(failing_sweep):
    steps = [e for e in failing_sweep.events if e.kind == "step"]
    assert steps and all(0 < e.step <= e.steps == 6 for e in steps)


def test_a_long_log_keeps_its_beginning_and_end(failing_sweep):
    log = failing_sweep.log("PrintsMegabytes")
    assert MAX_BYTES // 2 < len(log) <= MAX_BYTES
    lines = log.splitlines()
    assert lines[0] == "0".rjust(1023, "x") and lines[-1] == str(50 * 1024 - 1).rjust(1023, "x")
    (gap,) = [line for line in lines if "left out" in line]
    full_lines = sum(len(line) == 1023 for line in lines)
    assert int(gap.split()[0].strip("[")) == (50 * 1024 - full_lines) * 1024
    assert failing_sweep.record("PrintsMegabytes").error is None


def test_the_log_tail_is_in_the_record(failing_sweep):
    assert "KeyError" in failing_sweep.record("Raises").error.log_tail
    assert len(failing_sweep.record("Raises").error.log_tail) <= 4000


def test_secrets_are_redacted_in_record_log_and_terminal(failing_sweep):
    for name in ("Raises", "PrintsSecret"):
        assert SECRET not in failing_sweep.record(name).to_json()
        assert SECRET not in failing_sweep.log(name)
        assert SECRET not in failing_sweep.endings[name].message
    assert "my key is [redacted]" in failing_sweep.log("PrintsSecret")
    assert "a bug in the model, [redacted]" in failing_sweep.record("Raises").error.message


def test_passwords_in_urls_of_a_log_are_redacted(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\xff from https://bob:hunter22@host/x?token=abc and on\n")
    redact_log(log)
    assert log.read_bytes() == (b"\xff from https://[redacted]@host/x?token=[redacted] and on\n")


def test_the_log_of_a_good_run_is_empty(failing_sweep):
    assert failing_sweep.log("Good") == ""


def test_failed_cells_run_again_and_finished_cells_do_not(failing_sweep):
    before = len(failing_plugins.built_models(failing_sweep.folder))
    pool = LocalPool(failing_sweep.store, workers=2)
    finished_and_failed = [failing_sweep.cells["Raises"], failing_sweep.cells["Good"]]
    events = [
        e for e in pool.run(finished_and_failed, stop_requests=lambda: False) if e.kind == "ended"
    ]
    endings = {e.cell.names["model"]: e.ending for e in events}
    assert endings == {"Raises": "failed", "Good": "cached"}
    assert len(failing_plugins.built_models(failing_sweep.folder)) == before + 1


def test_stopping_kills_running_cells_and_releases_claims(failing_sweep):
    slow = build_cell(
        "digits",
        "slow",
        target="quintain_local.model.bad.Hangs",
        plugins=failing_sweep.folder,
        seed=9,
    )
    pool = LocalPool(failing_sweep.store, workers=1, limits=Limits(grace=0.5))
    file = failing_sweep.folder / "plugins" / "model" / "hangs.txt"
    file.unlink(missing_ok=True)
    list(pool.run([slow], stop_requests=file.exists))
    assert not _alive(int(file.read_text().split()[0]))
    assert failing_sweep.store.status(slow.key) is None
    claim = failing_sweep.store.claim(slow.key)
    assert claim is not None
    claim.release()


def test_a_record_that_cannot_be_written_does_not_stop_the_sweep(failing_sweep, tmp_path):
    store = Store(tmp_path / "store")
    store.path.mkdir()
    (store.path / "records").write_text("in the way")
    cells = [build_failing_cell(name, failing_sweep.folder) for name in ("Exits", "Raises", "Good")]
    pool = LocalPool(store, workers=2)
    ended = [e for e in pool.run(cells, stop_requests=lambda: False) if e.kind == "ended"]
    assert {e.ending for e in ended} == {"unwritten"} and len(ended) == 3
    assert all("is not a folder" in e.message for e in ended)
    assert (store.path / "records").read_text() == "in the way"


def test_a_log_that_cannot_be_opened_is_reported(failing_sweep, tmp_path):
    store = Store(tmp_path / "store")
    cell = build_failing_cell("Good", failing_sweep.folder)
    (store.path / "logs" / f"{cell.key}.log").mkdir(parents=True)
    ended = [e for e in LocalPool(store, workers=1).run([cell], stop_requests=lambda: False)]
    assert ended[-1].kind == "tick"
    (end,) = [e for e in ended if e.kind == "ended"]
    assert end.ending == "unwritten" and "log of the run cannot be opened" in end.message


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
