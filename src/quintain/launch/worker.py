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
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.compose.cells import Cell
from quintain.compose.errors import printable

if TYPE_CHECKING:
    from quintain.records.schema import Record
    from quintain.records.store import Store
    from quintain.run.checkpoint import Keeper

PROGRESS_EVERY = 0.2  # seconds between two messages about the step


def work(
    cell_json: str,
    store: str,
    log: str,
    output: Connection,
    parent: Connection,
    checkpoint_every: float | None,
    planned: float,
) -> None:
    """Run a cell and write its record; its files were looked at after `planned`, Unix seconds.

    Sends `parent` `("step", done, of)` now and then, and last `("ended", status, sentence)`, where
    the status is "unwritten" if the store would not take the record, or the code is not the plan's,
    and "interrupted" if the run was asked to leave (SIGTERM) and can go on later. What it prints
    goes into `output`, and the launcher writes that into `log`.
    """
    _settle(output)
    from quintain.compose.thaw import changed_sources
    from quintain.records.scrub import scrub
    from quintain.records.store import Store, StoreError
    from quintain.run.checkpoint import Interrupted, Keeper

    cell, place = Cell.from_json(cell_json), Store(store)
    if changed := changed_sources(cell, planned):
        _tell(parent, "unwritten", changed)
        return
    keeper = Keeper(place.checkpoints(cell.key), cell.key, checkpoint_every)
    try:
        record = _attempted(cell, place, Path(log), parent, keeper)
        status: str = record.status
        sentence = record.error.message if record.error else record.reason or _score(record)
        place.write(record)
        keeper.ended(record)
    except Interrupted:
        status, sentence = "interrupted", ""
    except StoreError as error:
        status, sentence = "unwritten", str(error)
    _tell(parent, status, scrub(sentence))
    with contextlib.suppress(OSError):
        sys.stdout.flush()


def _settle(output: Connection) -> None:
    """A process on its own, but for its output and the end of its parent."""
    os.setsid()  # a terminal's Ctrl-C is the parent's to handle, and a kill takes the whole group
    _hear_interrupts()
    follow_parent()
    _redirect(output)


def _attempted(cell: Cell, store: Store, log: Path, parent: Connection, keeper: Keeper) -> Record:
    from quintain.run.attempt import attempt
    from quintain.run.heartbeat import Heartbeat

    keeper.hear()
    with Heartbeat(store.path, cell, _Progress(parent)) as progress:
        return attempt(cell, progress, log, store.samples(cell.key), keeper)


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
    ends with the sweep (prctl(2), PR_SET_PDEATHSIG = 1). The server knows by a pipe whose other end
    we have been given, to start forks ourselves; held open it would keep the server alive.
    """
    server: Any = forkserver._forkserver
    if getattr(server, "_forkserver_alive_fd", None) is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the server has it blocked
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


def _redirect(output: Connection) -> None:
    """Everything a run prints, from C code too, goes to its launcher."""
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
