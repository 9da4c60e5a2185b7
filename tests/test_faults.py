"""Cells that fail in every way, in real processes: each a record, and the sweep goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bad_plugins
import psutil
import pytest
from cells_factory import cell

from quintain.compose.cells import Cell
from quintain.compose.providers import import_local
from quintain.launch import local
from quintain.launch.events import Event
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.run.attempt import scrub_log
from quintain.run.log import MOST

SECRET = "hunter2-and-more"
LIMIT = 0.5
EXPECTED = {  # class → kind of the failure, and words of its sentence
    "Hangs": ("timeout", "longer than its limit of 0.5 s (launch.time_limit)"),
    "HangsInC": ("timeout", "longer than its limit"),
    "Raises": ("exception", "a bug of mine"),
    "Speaks": ("exception", "enough"),
    "Exits": ("killed", "exit code 3 before it wrote its record"),
    "SysExits": ("exception", "4"),
    "Killed": ("killed", "signal SIGKILL before"),
    "Segfaults": ("killed", "signal SIGSEGV"),
    "Leaves": ("killed", "exit code 0"),
    "Spoils": ("nan", "training loss is nan at step 1"),
    "Fills": ("oom", ""),
    "Data": ("data", "the file is short"),
    "Deaf": ("killed", "exit code 5"),
}
FINE = ("Good", "Prints", "Lingers")


def bad_cell(name: str, folder: Path, seed: int = 1) -> Cell:
    made = cell(
        "digits", name, target=f"quintain_local.model.bad.{name}", plugins=folder, seed=seed
    )
    made.config["hardware"].pop("card")
    return made


@dataclass(frozen=True, kw_only=True)
class OfTheStuck(Limits):
    """Of the runs that have said that they do nothing from here on; a slow machine is no fault."""

    folder: Path

    def broken(self, pid: int, ran: float, silent: float) -> tuple[str, str] | None:
        said = [file.read_text().split() for file in self.folder.glob("hangs*.txt")]
        stuck = [words[0] for words in said if words]
        return super().broken(pid, ran, silent) if str(pid) in stuck else None


class Story:
    """One run of all the bad cells, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mine"
        self.store = Store(folder / "store")
        names = [*EXPECTED, "Refuses", *FINE]
        self.cells = {name: bad_cell(name, self.folder) for name in names}
        stuck = self.folder / "plugins" / "model"
        pool = LocalPool(self.store, workers=3, limits=OfTheStuck(time=LIMIT, folder=stuck))
        self.events: list[Event] = []
        self.most = 0
        alive: set[str] = set()
        for event in pool.run(list(self.cells.values()), stopped=lambda: False):
            self.events.append(event)
            if event.kind == "started":
                alive.add(event.cell.key)
            elif event.kind == "ended":
                alive.discard(event.cell.key)
            self.most = max(self.most, len(alive))
        self.endings = {e.cell.names["model"]: e for e in self.events if e.kind == "ended"}

    def record(self, name: str) -> Record:
        found = self.store.read(self.cells[name].key)
        assert found is not None
        return found

    def log(self, name: str) -> str:
        return (self.store.path / "logs" / f"{self.cells[name].key}.log").read_text()


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:

    patch = pytest.MonkeyPatch()
    patch.setenv("BAD_API_KEY", SECRET)  # before the fork server starts
    patch.setattr(local, "LINGER", 1.0)
    folder = tmp_path_factory.mktemp("faults")
    patch.setenv("QUINTAIN_PLUGINS", str(bad_plugins.write(folder / "mine")))
    import_local()
    try:
        yield Story(folder)
    finally:
        patch.undo()


@pytest.mark.parametrize("name", EXPECTED)
def test_each_failure_is_a_record_of_its_kind(story, name):
    kind, words = EXPECTED[name]
    record = story.record(name)
    assert (record.status, record.error.kind) == ("failed", kind)
    assert words in record.error.message
    assert story.endings[name].ending == "failed"
    assert words in story.endings[name].sentence


@pytest.mark.parametrize("name", FINE)
def test_the_others_are_fine(story, name):
    assert story.record(name).status == story.endings[name].ending == "ok"


def test_three_run_side_by_side_single_threaded_in_processes_of_their_own(story):
    assert story.most == 3
    rows = bad_plugins.built(story.folder)
    assert len({pid for _, pid, _ in rows}) == len(rows) == len(story.cells)
    assert {threads for _, _, threads in rows} == {"1"}


def test_a_skip_that_comes_late_is_a_skipped_record(story):
    assert story.record("Refuses").status == "skipped"
    assert story.record("Refuses").reason == "not on this data"


def test_nothing_of_a_hung_or_dead_cell_is_left(story):
    for name in ("hangs", "hangs_in_c", "leaves"):
        file = story.folder / "plugins" / "model" / f"{name}.txt"
        for pid in file.read_text().split():
            assert not _alive(int(pid)), name


def test_steps_are_reported(story):
    steps = [e for e in story.events if e.kind == "step"]
    assert steps and all(0 < e.step <= e.steps == 6 for e in steps)


def test_of_a_long_log_the_ends_are_kept(story):
    log = story.log("Prints")
    assert MOST // 2 < len(log) <= MOST
    lines = log.splitlines()
    assert lines[0] == "0".rjust(1023, "x") and lines[-1] == str(50 * 1024 - 1).rjust(1023, "x")
    (mark,) = [line for line in lines if "left out" in line]
    kept = sum(len(line) == 1023 for line in lines)
    assert int(mark.split()[0].strip("[")) == (50 * 1024 - kept) * 1024
    assert story.record("Prints").error is None


def test_the_log_tail_is_in_the_record(story):
    assert "KeyError" in story.record("Raises").error.log_tail

    assert len(story.record("Raises").error.log_tail) <= 4000


def test_secrets_reach_neither_record_nor_log_nor_terminal(story):
    for name in ("Raises", "Speaks"):
        assert SECRET not in story.record(name).to_json()
        assert SECRET not in story.log(name)
        assert SECRET not in story.endings[name].sentence
    assert "my key is [redacted]" in story.log("Speaks")
    assert "a bug of mine, [redacted]" in story.record("Raises").error.message


def test_addresses_in_a_log_lose_their_passwords(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\xff from https://bob:hunter22@host/x?token=abc and on\n")
    scrub_log(log)
    assert log.read_bytes() == (b"\xff from https://[redacted]@host/x?token=[redacted] and on\n")


def test_a_log_holds_only_what_matters(story):
    assert story.log("Good") == ""


def test_failed_cells_run_again_and_finished_ones_do_not(story):
    before = len(bad_plugins.built(story.folder))
    pool = LocalPool(story.store, workers=2)
    again = [story.cells["Raises"], story.cells["Good"]]
    events = [e for e in pool.run(again, stopped=lambda: False) if e.kind == "ended"]
    endings = {e.cell.names["model"]: e.ending for e in events}
    assert endings == {"Raises": "failed", "Good": "cached"}
    assert len(bad_plugins.built(story.folder)) == before + 1


def test_stopping_kills_what_runs_and_gives_claims_back(story):
    slow = cell(
        "digits", "slow", target="quintain_local.model.bad.Hangs", plugins=story.folder, seed=9
    )
    pool = LocalPool(story.store, workers=1, limits=Limits(grace=0.5))
    file = story.folder / "plugins" / "model" / "hangs.txt"
    file.unlink(missing_ok=True)
    list(pool.run([slow], stopped=file.exists))
    assert not _alive(int(file.read_text().split()[0]))
    assert story.store.status(slow.key) is None
    claim = story.store.claim(slow.key)
    assert claim is not None
    claim.release()


def test_a_failure_that_cannot_be_recorded_is_said_and_the_sweep_goes_on(story, tmp_path):
    store = Store(tmp_path / "store")
    store.path.mkdir()
    (store.path / "records").write_text("in the way")
    cells = [bad_cell(name, story.folder) for name in ("Exits", "Raises", "Good")]
    pool = LocalPool(store, workers=2)
    ended = [e for e in pool.run(cells, stopped=lambda: False) if e.kind == "ended"]
    assert {e.ending for e in ended} == {"unwritten"} and len(ended) == 3
    assert all("is not a folder" in e.sentence for e in ended)
    assert (store.path / "records").read_text() == "in the way"


def test_a_log_that_cannot_be_opened_is_said(story, tmp_path):
    store = Store(tmp_path / "store")
    made = bad_cell("Good", story.folder)
    (store.path / "logs" / f"{made.key}.log").mkdir(parents=True)
    ended = [e for e in LocalPool(store, workers=1).run([made], stopped=lambda: False)]
    assert ended[-1].kind == "tick"
    (end,) = [e for e in ended if e.kind == "ended"]
    assert end.ending == "unwritten" and "no place for its log" in end.sentence


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
