"""Parts of the launcher: messages of the worker, names of signals, slots of cells."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys

import pytest
from helpers.cell_factory import build_cell, load_option

from quintain.launch import worker
from quintain.launch.local import LocalPool
from quintain.launch.resources import required_slots
from quintain.launch.signals import signal_name
from quintain.records.store import Store


def test_signals_are_named_and_real_time_signals_numbered():
    assert signal_name(signal.SIGSEGV) == "SIGSEGV"
    assert signal_name(40) == "40"  # a real-time signal has no name


def test_progress_is_reported_at_most_five_times_a_second(monkeypatch):
    moment = [100.0]
    reader, writer = multiprocessing.Pipe(duplex=False)
    monkeypatch.setattr(worker.time, "monotonic", lambda: moment[0])
    progress = worker._ProgressReporter(writer)
    for step in range(1, 11):
        moment[0] += 0.125
        progress(step, 10)
    writer.close()
    messages = [reader.recv() for _ in range(5)]
    assert messages == [("step", step, 10) for step in (1, 3, 5, 7, 9)] and reader.poll()
    with pytest.raises(EOFError):
        reader.recv()


def test_a_worker_ignores_a_closed_pipe_to_its_parent():
    reader, writer = multiprocessing.Pipe(duplex=False)
    reader.close()
    worker._ProgressReporter(writer)(1, 2)
    worker._report_result(writer, "ok", "")


def test_the_launcher_imports_no_torch():
    code = "import sys, quintain.launch.sweep; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_cell_takes_a_slot_for_each_thread_of_each_rank(tmp_path):
    short = {"steps": 2, "validations": 1}
    wide = build_cell(hardware={"threads": 2}, budget=short)
    narrow = [build_cell(seed=seed, budget=short) for seed in (1, 2)]
    over_ranks = build_cell()
    over_ranks.config["hardware"] = load_option("hardware", "cpu_ddp") | {
        "devices": 3,
        "threads": 2,
    }
    broken = build_cell()
    broken.config["hardware"] = {"_target_": "nowhere.Hardware"}
    cells = [
        wide,
        *narrow,
        over_ranks,
        broken,
        build_cell(baseline="majority", hardware={"threads": 2}),
    ]
    assert [required_slots(cell) for cell in cells] == [2, 1, 1, 6, 1, 1]
    events = []
    for event in LocalPool(Store(tmp_path), workers=2).run([wide, *narrow], lambda: 0):
        if event.kind in ("started", "ended"):
            events.append((event.kind, event.cell.key))
    assert events[:2] == [("started", wide.key), ("ended", wide.key)]
    assert events[2:4] == [("started", cell.key) for cell in narrow]
