"""Runs that leak memory, hang, print a lot or whose clock goes back, in real processes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import psutil
import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell

from quintain.compose.plugin_providers import register_local_plugins
from quintain.launch.events import Event
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.launch.status import read_heartbeats
from quintain.records.store import Store
from quintain.run.log import MAX_BYTES

MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    patch = pytest.MonkeyPatch()
    plugins = failing_plugins.write_models(tmp_path_factory.mktemp("limits") / "mine")
    patch.setenv("QUINTAIN_PLUGINS", str(plugins))
    register_local_plugins()
    yield plugins
    patch.undo()


def run_cells(store: Store, folder: Path, names: list[str], limits: Limits) -> dict[str, Event]:
    cells = [
        build_cell("digits", name, target=f"quintain_local.model.bad.{name}", plugins=folder)
        for name in names
    ]
    events = LocalPool(store, workers=2, limits=limits).run(cells, lambda: 0)
    return {e.cell.names["model"]: e for e in events if e.kind == "ended"}


def test_a_memory_leak_is_stopped_by_its_limit_and_the_next_cell_runs(folder, tmp_path):
    store = Store(tmp_path)
    ended = run_cells(store, folder, ["Leaks", "Good"], Limits(memory=1500, time=600))
    record = store.read(ended["Leaks"].cell.key)
    assert (record.status, record.error.kind) == ("failed", "oom")
    assert "limit 1500 (launch.memory_limit)" in record.error.message
    assert ended["Good"].ending == "ok"


def test_a_hanging_run_is_stopped_before_its_time_limit(folder, tmp_path):
    store = Store(tmp_path)
    ended = run_cells(store, folder, ["HangsInC"], Limits(hang=1.0, time=600))
    record = store.read(ended["HangsInC"].cell.key)
    assert (record.status, record.error.kind) == ("failed", "timeout")
    assert "made no progress for" in record.error.message
    assert "limit 1 (launch.hang_limit)" in record.error.message
    assert not list((tmp_path / "running").iterdir())  # a killed run cannot remove its heartbeat


def test_a_clock_that_goes_back_changes_no_duration_and_no_claim(folder, tmp_path):
    store = Store(tmp_path)
    ended = run_cells(store, folder, ["ClockGoesBack", "Good"], Limits())
    assert {event.ending for event in ended.values()} == {"ok"}
    key = ended["ClockGoesBack"].cell.key
    record, seconds = store.read(key), store.read(key).cost.seconds
    times = [datetime.fromisoformat(text) for text in (record.started, record.finished)]
    assert times[1] < times[0]  # the clock did go back
    assert seconds.total >= seconds.training > 0 and seconds.total < 86_400 / 2
    assert run_cells(store, folder, ["ClockGoesBack"], Limits())["ClockGoesBack"].ending == "cached"
    assert read_heartbeats(tmp_path) == [] and not store.problems
    claim = store.claim(key)
    assert claim is not None
    claim.release()


@pytest.mark.slow
def test_a_gigabyte_of_output_fills_neither_disk_nor_memory(folder, tmp_path):
    before = psutil.Process().memory_info().rss
    ended = run_cells(Store(tmp_path), folder, ["PrintsGigabyte"], Limits())
    assert ended["PrintsGigabyte"].ending == "ok"
    log = tmp_path / "logs" / f"{ended['PrintsGigabyte'].cell.key}.log"
    assert 0 < log.stat().st_size <= MAX_BYTES
    assert psutil.Process().memory_info().rss - before < 200 * MIB
