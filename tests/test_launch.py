"""Small parts of launching: logs, failures, signals and quiet, without a process."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import warnings

import pytest
import torch
from cells_factory import cell, node

from quintain.launch import local, worker
from quintain.run.attempt import LOG_TAIL, attempt, scrub_log, tail
from quintain.run.failure import MESSAGE, failure, kind_of
from quintain.run.quiet import collecting, quiet
from quintain.run.task import NonFiniteLoss


class DataError(ValueError):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NonFiniteLoss("nan"), "nan"),
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (KeyboardInterrupt(), "interrupted"),
        (DataError("short file"), "data"),
        (SystemExit(1), "exception"),
        (RuntimeError("mat1 and mat2 shapes"), "exception"),
    ],
)
def test_kinds_of_failure(error, kind):
    assert kind_of(error) == kind
    assert failure(error)["message"]


def test_numpys_memory_error_is_out_of_memory():
    import numpy as np

    with pytest.raises(MemoryError) as caught:
        np.zeros(2**55)
    assert kind_of(caught.value) == "oom"


def test_lightning_turns_ctrl_c_into_an_exit(monkeypatch, capfd):
    import quintain.run.execute as execution

    def interrupted(cell, progress, samples, keeper):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    monkeypatch.setattr(execution, "execute", interrupted)
    assert attempt(cell()).error.kind == "interrupted"


def test_an_error_that_quotes_an_array_is_cut():
    found = failure(ValueError("x" * 10**6))
    assert len(found["message"]) == MESSAGE and len(found["traceback"]) <= 20_000


def test_a_plugin_folder_that_has_gone_is_a_failed_record(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("QUINTAIN_PLUGINS", "")
    record = attempt(cell(plugins=tmp_path / "gone"))
    assert record.status == "failed" and "is not a folder" in record.error.message


def test_no_log_no_tail(tmp_path):
    assert tail(None) == tail(tmp_path / "none.log") == ""


def test_the_tail_hides_a_secret_that_the_cut_would_halve(tmp_path, monkeypatch):
    secret = "s3cret-" + "z" * 40
    monkeypatch.setenv("MY_API_KEY", secret)
    log = tmp_path / "run.log"
    log.write_text("a" * 500 + secret + "b" * (LOG_TAIL - 20))
    found = tail(log)
    assert len(found) == LOG_TAIL and found.endswith("b") and "zzzz" not in found
    scrub_log(log)
    assert secret not in log.read_text() and "[redacted]" in log.read_text()


def test_a_log_without_secrets_is_not_rewritten(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "not-in-there")
    log = tmp_path / "run.log"
    log.write_bytes(b"\xff\xfe bytes")
    before = log.stat().st_mtime_ns
    scrub_log(log)
    scrub_log(tmp_path / "none.log")
    assert log.stat().st_mtime_ns == before and log.read_bytes() == b"\xff\xfe bytes"


def test_stray_bytes_in_a_tail(tmp_path):
    log = tmp_path / "run.log"
    log.write_bytes(b"ok \xff\xfe end")
    assert tail(log) == "ok \ufffd\ufffd end"


def test_names_of_signals():
    assert local._signal_name(signal.SIGSEGV) == "SIGSEGV"
    assert local._signal_name(40) == "40"  # a real-time signal has no name


def test_progress_is_not_told_more_often_than_an_eye_can_follow(monkeypatch):
    sent, moment = [], [100.0]

    class Pipe:
        def send(self, message):
            sent.append(message)

    monkeypatch.setattr(worker.time, "monotonic", lambda: moment[0])
    progress = worker._Progress(Pipe())
    for step in range(1, 11):
        moment[0] += 0.125
        progress(step, 10)
    assert sent == [("step", step, 10) for step in (1, 3, 5, 7, 9)]


def test_a_parent_that_has_gone_does_not_matter():
    class Broken:
        def send(self, message):
            raise BrokenPipeError

    worker._Progress(Broken())(1, 2)
    worker._tell(Broken(), "ok", "")


def test_quiet_is_over_when_it_is_over():
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    with quiet():
        assert logger.level == logging.ERROR
        warnings.warn("x: `isinstance(treespec, LeafSpec)` is deprecated", stacklevel=1)
    assert logger.level == before
    with pytest.raises(UserWarning):
        warnings.warn("`isinstance(treespec, LeafSpec)`", stacklevel=1)


def test_collecting_keeps_some_warnings_and_shows_the_others_once():
    with pytest.warns(UserWarning) as shown, collecting("special") as found:
        for _ in range(3):
            warnings.warn("special one", stacklevel=1)
            warnings.warn("another", stacklevel=1)
    assert found == ["special one"] * 3
    assert [str(w.message) for w in shown] == ["another"]


def test_the_launcher_imports_no_torch():
    code = "import sys, quintain.launch.sweep; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_cell_takes_a_slot_for_each_thread_of_each_rank(tmp_path):
    from quintain.launch.local import LocalPool
    from quintain.launch.resources import slots_of
    from quintain.records.store import Store

    short = {"steps": 2, "validations": 1}
    wide = cell(hardware={"threads": 2}, budget=short)
    narrow = [cell(seed=seed, budget=short) for seed in (1, 2)]
    over_ranks = cell()
    over_ranks.config["hardware"] = node("hardware", "cpu_ddp") | {"devices": 3, "threads": 2}
    broken = cell()
    broken.config["hardware"] = {"_target_": "nowhere.Hardware"}
    cells = [wide, *narrow, over_ranks, broken, cell(reference="majority", hardware={"threads": 2})]
    assert [slots_of(made) for made in cells] == [2, 1, 1, 6, 1, 1]
    said = []
    for event in LocalPool(Store(tmp_path), workers=2).run([wide, *narrow], lambda: 0):
        if event.kind in ("started", "ended"):
            said.append((event.kind, event.cell.key))
    keys = [made.key for made in narrow]
    assert said[:2] == [("started", wide.key), ("ended", wide.key)]
    assert said[2:4] == [("started", key) for key in keys]
