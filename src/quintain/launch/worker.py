"""The child's side: one run in its own process, its output in a log, its record in the store."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.compose.cells import Cell
from quintain.compose.errors import printable

if TYPE_CHECKING:
    from quintain.records.schema import Record

PROGRESS_EVERY = 0.2  # seconds between two messages about the step


def work(cell_json: str, store: str, log: str, parent: Connection) -> None:
    """Run a cell and write its record.

    Sends `("step", done, of)` now and then, and last `("ended", status, sentence)`, where the
    status is "unwritten" if the store would not take the record, or the code is not the plan's.
    """
    os.setsid()  # a terminal's Ctrl-C is the parent's to handle, and a kill takes the whole group
    _hear_interrupts()
    follow_parent()
    try:
        _redirect(Path(log))
    except OSError as error:
        _tell(parent, "unwritten", f"the run has no place for its log: {error}")
        return
    from quintain.compose.thaw import changed_sources
    from quintain.records.scrub import scrub
    from quintain.records.store import Store, StoreError
    from quintain.run.attempt import attempt
    from quintain.run.heartbeat import Heartbeat

    cell = Cell.from_json(cell_json)
    if changed := changed_sources(cell):
        _tell(parent, "unwritten", changed)
        return
    with Heartbeat(Path(store), cell, _Progress(parent)) as progress:
        record = attempt(cell, progress, Path(log), Store(store).samples(cell.key))
    sentence = record.error.message if record.error else record.reason or _score(record)
    status: str = record.status
    try:
        Store(store).write(record)
    except StoreError as error:
        status, sentence = "unwritten", str(error)
    _tell(parent, status, scrub(sentence))
    with contextlib.suppress(OSError):
        sys.stdout.flush()


def _score(record: Record) -> str:
    quality = record.quality
    value = record.main_test()
    return "" if quality is None or value is None else f"{quality.main} {value:.4g}"


def _tell(parent: Connection, status: str, sentence: str) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone; the record is safe
        parent.send(("ended", status, printable(sentence)))


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


def follow_parent() -> None:
    """End with the process that started us: a killed sweep leaves no orphans.

    A thread watches, and ends whatever the run has started too. It needs Python's lock, which C
    code may never give back; so on Linux the kernel ends us with the fork server as well, which
    ends with the sweep (prctl(2), PR_SET_PDEATHSIG = 1).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _hear_interrupts() -> None:
    """The fork server blocks SIGINT; one that came before `setsid` was not meant for the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # drops what is pending
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _redirect(log: Path) -> None:
    """Everything a run prints, from C code too, goes into its log."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)
