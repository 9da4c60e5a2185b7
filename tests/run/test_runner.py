"""Failures of a run as records, and the end of its log: kinds, secrets, warnings."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest
import torch
from helpers.cell_factory import build_cell

from quintain.errors import DataError, NonFiniteLoss
from quintain.run.log_filters import collect_warnings, filter_logs
from quintain.run.record.failure import MAX_MESSAGE, classify_failure, describe_failure
from quintain.run.runner import LOG_TAIL, read_log_tail, redact_log, run_to_record


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
def test_each_error_has_its_kind_of_failure(error, kind):
    assert classify_failure(error) == kind
    assert describe_failure(error)["message"]


def test_a_memory_error_of_numpy_is_out_of_memory():
    import numpy as np

    with pytest.raises(MemoryError) as caught:
        np.zeros(2**55)
    assert classify_failure(caught.value) == "oom"


def test_an_exit_after_ctrl_c_is_an_interruption(monkeypatch, capfd):
    from quintain.run import session

    def interrupted(*arguments):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    monkeypatch.setattr(session, "run_cell", interrupted)
    assert run_to_record(build_cell()).error.kind == "interrupted"


def test_the_message_of_an_exception_has_the_file_and_line_of_the_plugin(capfd):
    from helpers.failing_cores import Raises, replace_core
    from helpers.rank_jobs import build_rank_cell

    error = run_to_record(replace_core(build_rank_cell("example_image", "lstm"), Raises)).error
    assert error.message.startswith("NameError: name 'undefined_name' is not defined (")
    assert "helpers/failing_cores.py:" in error.message and ", in change)" in error.message


def test_the_message_of_a_library_has_no_place():
    try:
        torch.zeros(2) @ torch.zeros(3)
    except RuntimeError as error:
        error.__traceback__ = error.__traceback__.tb_next
        assert describe_failure(error)["message"] == str(error)


def test_a_long_error_message_is_shortened():
    failure = describe_failure(ValueError("x" * 10**6))
    assert len(failure["message"]) == MAX_MESSAGE and len(failure["traceback"]) <= 20_000


def test_a_missing_plugin_folder_is_a_failed_record(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("QUINTAIN_PLUGINS", "")
    record = run_to_record(build_cell(plugins=tmp_path / "gone"))
    assert record.status == "failed" and "is not a folder" in record.error.message


def test_a_missing_log_has_an_empty_tail(tmp_path):
    assert read_log_tail(None) == read_log_tail(tmp_path / "none.log") == ""


def test_the_log_tail_hides_a_secret_at_its_cut(tmp_path, monkeypatch):
    secret = "s3cret-" + "z" * 40
    monkeypatch.setenv("MY_API_KEY", secret)
    log = tmp_path / "run.log"
    log.write_text("a" * 500 + secret + "b" * (LOG_TAIL - 20))
    tail = read_log_tail(log)
    assert len(tail) == LOG_TAIL and tail.endswith("b") and "zzzz" not in tail
    redact_log(log)
    assert secret not in log.read_text() and "[redacted]" in log.read_text()


def test_a_log_without_secrets_is_not_rewritten(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "not-in-there")
    log = tmp_path / "run.log"
    log.write_bytes(b"\xff\xfe bytes")
    before = log.stat().st_mtime_ns
    redact_log(log)
    redact_log(tmp_path / "none.log")
    assert log.stat().st_mtime_ns == before and log.read_bytes() == b"\xff\xfe bytes"


def test_undecodable_bytes_in_a_log_tail_are_replaced(tmp_path):
    log = tmp_path / "run.log"
    log.write_bytes(b"ok \xff\xfe end")
    assert read_log_tail(log) == "ok \ufffd\ufffd end"


def test_filtering_logs_ends_with_its_block():
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    with filter_logs():
        assert logger.level == logging.ERROR
        warnings.warn("x: `isinstance(treespec, LeafSpec)` is deprecated", stacklevel=1)
    assert logger.level == before
    with pytest.raises(UserWarning):
        warnings.warn("`isinstance(treespec, LeafSpec)`", stacklevel=1)


def test_matching_warnings_are_collected_and_others_shown_once():
    with pytest.warns(UserWarning) as shown, collect_warnings("special") as collected:
        for _ in range(3):
            warnings.warn("special one", stacklevel=1)
            warnings.warn("another", stacklevel=1)
    assert collected == ["special one"] * 3
    assert [str(w.message) for w in shown] == ["another"]
