"""The child's side: one run in its own process, its output in a log, its record in the store."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from quintain.compose.cells import Cell

PROGRESS_EVERY = 0.2  # seconds between two messages about the step


def work(cell_json: str, store: str, log: str, parent: Connection) -> None:
    """Run a cell and write its record.

    Sends `("step", done, of)` now and then, and last `("ended", status, sentence)`, where the
    status is "unwritten" if the store would not take the record.
    """
    os.setsid()  # a terminal's Ctrl-C is the parent's to handle, and a kill takes the whole group
    _follow_parent()
    _redirect(Path(log))
    from quintain.records.store import Store, StoreError
    from quintain.run.attempt import attempt

    record = attempt(Cell.from_json(cell_json), _Progress(parent), Path(log))
    sentence = record.error.message if record.error else record.reason or ""
    status: str = record.status
    try:
        Store(store).write(record)
    except StoreError as error:
        status, sentence = "unwritten", str(error)
    with contextlib.suppress(OSError):  # the parent may be gone; the record is safe
        parent.send(("ended", status, sentence))
    sys.stdout.flush()


class _Progress:
    """Tells the parent the step, but not more often than an eye can follow."""

    def __init__(self, parent: Connection) -> None:
        self._parent = parent
        self._last = 0.0

    def __call__(self, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - self._last >= PROGRESS_EVERY:
            self._last = now
            with contextlib.suppress(OSError):
                self._parent.send(("step", step, steps))


def _follow_parent() -> None:
    """End with the process that started us: a killed sweep leaves no orphans."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.killpg(os.getpgrp(), 9)

    threading.Thread(target=wait, daemon=True).start()


def _redirect(log: Path) -> None:
    """Everything a run prints, from C code too, goes into its log."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)
