"""Runs a cell and always ends in a record: a failure is a result too."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.compose.cells import Cell
from quintain.compose.providers import import_local, use_folder
from quintain.contracts import Skip
from quintain.records.schema import Record, utc_now
from quintain.records.scrub import scrub, secrets
from quintain.run.identity import failed, skipped

if TYPE_CHECKING:
    from quintain.run.checkpoint import Keeper

LOG_TAIL = 4000  # characters
LOG_WAIT = 1.0  # seconds at most until a launcher has written our last words


def attempt(
    cell: Cell,
    progress: Callable[[int, int], None] = lambda step, steps: None,
    log: Path | None = None,
    samples: Path | None = None,
    keeper: Keeper | None = None,
) -> Record:
    """Execute a cell; what is raised becomes a failed (or skipped) record.

    Raises:
        Interrupted: the run was asked to leave and can go on later; there is no record.
    """
    from quintain.run.checkpoint import Interrupted

    started = utc_now()
    try:
        for folder in cell.plugins:
            use_folder(folder)
        import_local()
        from quintain.run.allocator import keep_freed_memory
        from quintain.run.execute import execute

        keep_freed_memory()
        return execute(cell, progress, samples, keeper)
    except Interrupted:
        raise
    except Skip as reason:
        return skipped(cell, str(reason))
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        from quintain.run.failure import failure

        with contextlib.suppress(OSError):  # the log may be on the disk that is full
            traceback.print_exception(error)
        if log is not None:
            _await_log()
        return failed(cell, failure(error, tail(log)), started)


def _await_log() -> None:
    """Wait until the launcher has taken what we printed out of the pipe (FIONREAD: pipe(7))."""
    if os.name == "nt":
        return
    import fcntl
    import termios

    end = time.monotonic() + LOG_WAIT
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            waiting = fcntl.ioctl(1, termios.FIONREAD, b"\0" * 4)
            time.sleep(LOG_WAIT / 20)  # what it has taken it is still writing
            if not any(waiting):
                return


def tail(log: Path | None) -> str:
    """The last lines of a log without secrets, "" where there is none."""
    if log is None or not log.exists():
        return ""
    hide = secrets()
    margin = 4 * max(map(len, hide), default=0)  # bytes: a secret that the cut would halve
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL - margin))
        return scrub(file.read().decode(errors="replace"), hide)[-LOG_TAIL:]


def scrub_log(log: Path) -> None:
    """Rewrite a finished log without secrets, if it holds any: logs are passed around too."""
    with contextlib.suppress(OSError):
        text = log.read_bytes()
        clean = text
        for secret in secrets():
            clean = clean.replace(secret.encode(), b"[redacted]")
        if b"://" in clean:  # as latin-1, which keeps every byte
            clean = scrub(clean.decode("latin-1"), ()).encode("latin-1")
        if clean != text:
            log.write_bytes(clean)
