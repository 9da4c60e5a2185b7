"""Runs that leak, hang, print without end or whose clock goes back, each in a real process."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import bad_plugins
import psutil
import pytest
from cells_factory import cell

from quintain.compose.providers import import_local
from quintain.launch.events import Event
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.launch.status import beats
from quintain.records.store import Store
from quintain.run.log import MOST

MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    patch = pytest.MonkeyPatch()
    made = bad_plugins.write(tmp_path_factory.mktemp("limits") / "mine")
    patch.setenv("QUINTAIN_PLUGINS", str(made))
    import_local()
    yield made
    patch.undo()


def ran(store: Store, folder: Path, names: list[str], limits: Limits) -> dict[str, Event]:
    made = [
        cell("digits", name, target=f"quintain_local.model.bad.{name}", plugins=folder)
        for name in names
    ]
    events = LocalPool(store, workers=2, limits=limits).run(made, lambda: 0)
    return {e.cell.names["model"]: e for e in events if e.kind == "ended"}


def test_a_leak_is_ended_by_its_limit_and_the_next_cell_is_fine(folder, tmp_path):
    store = Store(tmp_path)
    ended = ran(store, folder, ["Leaks", "Good"], Limits(memory=1500, time=600))
    record = store.read(ended["Leaks"].cell.key)
    assert (record.status, record.error.kind) == ("failed", "oom")
    assert "limit 1500 (launch.memory_limit)" in record.error.message
    assert ended["Good"].ending == "ok"


def test_a_hang_is_ended_by_its_limit_though_time_is_not_up(folder, tmp_path):
    store = Store(tmp_path)
    ended = ran(store, folder, ["HangsInC"], Limits(hang=1.0, time=600))
    record = store.read(ended["HangsInC"].cell.key)
    assert (record.status, record.error.kind) == ("failed", "timeout")
    assert "no sign of life for" in record.error.message
    assert "limit 1 (launch.hang_limit)" in record.error.message
    assert not list((tmp_path / "running").iterdir())  # a run that was killed cannot take it away


def test_a_clock_that_goes_back_changes_no_duration_and_no_claim(folder, tmp_path):
    store = Store(tmp_path)
    ended = ran(store, folder, ["Backwards", "Good"], Limits())
    assert {event.ending for event in ended.values()} == {"ok"}
    key = ended["Backwards"].cell.key
    record, seconds = store.read(key), store.read(key).cost.seconds
    times = [datetime.fromisoformat(text) for text in (record.started, record.finished)]
    assert times[1] < times[0]  # the fault was real
    assert seconds.total >= seconds.training > 0 and seconds.total < 86_400 / 2
    assert ran(store, folder, ["Backwards"], Limits())["Backwards"].ending == "cached"
    assert beats(tmp_path) == [] and not store.problems
    claim = store.claim(key)
    assert claim is not None
    claim.release()


@pytest.mark.slow
def test_a_gigabyte_of_output_fills_neither_disk_nor_memory(folder, tmp_path):
    before = psutil.Process().memory_info().rss
    ended = ran(Store(tmp_path), folder, ["PrintsOn"], Limits())
    assert ended["PrintsOn"].ending == "ok"
    log = tmp_path / "logs" / f"{ended['PrintsOn'].cell.key}.log"
    assert 0 < log.stat().st_size <= MOST
    assert psutil.Process().memory_info().rss - before < 200 * MIB
