"""Runs a cell and returns a record even if the run fails; reads and redacts logs."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.compose.plugin_providers import add_plugin_folder, register_local_plugins
from quintain.contracts import Unsupported
from quintain.plan.cell import Cell
from quintain.records.redact import find_secrets, redact
from quintain.records.schema import Record, utc_now
from quintain.run.record.identity import build_failed_record, build_skipped_record

if TYPE_CHECKING:
    from quintain.run.train.checkpoint import FileCheckpointer

LOG_TAIL = 4000  # characters
LOG_TIMEOUT = 1.0  # seconds to wait until the launcher has written the output of the run


def run_to_record(
    cell: Cell,
    report_progress: Callable[[int, int], None] = lambda step, steps: None,
    log: Path | None = None,
    samples_folder: Path | None = None,
    checkpointer: FileCheckpointer | None = None,
) -> Record:
    """Run a cell; an error becomes a failed record, and `Unsupported` a skipped one.

    Arguments as in `run_cell`; the end of `log`, a file with the run's output, becomes part of a
    failed record.

    Raises:
        Interrupted: the run was preempted and can resume later; there is no record.
    """
    started = utc_now()
    try:
        for folder in cell.plugins:
            add_plugin_folder(folder)
        register_local_plugins()
        from quintain.run.measure.allocator import keep_freed_memory
        from quintain.run.session import run_cell

        keep_freed_memory()
        return run_cell(cell, report_progress, samples_folder, checkpointer)
    except Unsupported as reason:
        return build_skipped_record(cell, str(reason))
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        from quintain.run.record.failure import describe_failure

        with contextlib.suppress(OSError):  # the log may be on a full disk
            traceback.print_exception(error)
        if log is not None:
            _wait_for_log()
        return build_failed_record(cell, describe_failure(error, read_log_tail(log)), started)


def _wait_for_log() -> None:
    """Wait until the launcher has read the output of this process from its pipe.

    FIONREAD (pipe(7)) returns the number of unread bytes.
    """
    if os.name == "nt":
        return
    import fcntl
    import termios

    end = time.monotonic() + LOG_TIMEOUT
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            unread = fcntl.ioctl(1, termios.FIONREAD, b"\0" * 4)
            time.sleep(LOG_TIMEOUT / 20)  # after reading, the launcher also needs time to write
            if not any(unread):
                return


def read_log_tail(log: Path | None) -> str:
    """Return the last lines of a log without secrets; "" if there is no log."""
    if log is None or not log.exists():
        return ""
    secrets = find_secrets()
    margin = 4 * max(map(len, secrets), default=0)  # bytes, so that no secret is cut in half
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL - margin))
        return redact(file.read().decode(errors="replace"), secrets)[-LOG_TAIL:]


def redact_log(log: Path) -> None:
    """Remove secrets from a finished log, because logs are shared."""
    with contextlib.suppress(OSError):
        original = log.read_bytes()
        text = original
        for secret in find_secrets():
            text = text.replace(secret.encode(), b"[redacted]")
        if b"://" in text:  # latin-1 decodes any bytes and encodes them unchanged
            text = redact(text.decode("latin-1"), ()).encode("latin-1")
        if text != original:
            log.write_bytes(text)
