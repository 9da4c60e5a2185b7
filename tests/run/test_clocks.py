"""Clocks: exactly one runs at any time."""

from __future__ import annotations

import pytest

from quintain.run import clocks as module
from quintain.run.clocks import PhaseClocks


@pytest.fixture
def now(monkeypatch):
    moment = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: moment[0])
    return moment


def test_each_second_goes_to_one_clock(now):
    clocks = PhaseClocks()
    now[0] += 2
    assert clocks.switch("training") == "setup"
    now[0] += 5
    assert clocks.switch("validation") == "training"
    now[0] += 1
    assert clocks.switch("training") == "validation"
    now[0] += 3
    assert clocks.read("setup") == 2
    assert clocks.read("training") == 8  # 5, and 3 that are still running
    assert clocks.read("validation") == 1
    assert clocks.read("test") == 0
    assert clocks.read_total() == 11


def test_switching_to_the_running_clock_loses_nothing(now):
    clocks = PhaseClocks()
    now[0] += 1
    clocks.switch("setup")
    now[0] += 1
    assert clocks.read("setup") == clocks.read_total() == 2
