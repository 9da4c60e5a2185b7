"""The worker process of a run, which writes the record into the store."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.errors import printable
from quintain.launch.process_tree import kill_marked_processes
from quintain.plan.cell import Cell
from quintain.run.environment import mark_environment
from quintain.run.preemption_signals import SIGNALS

if TYPE_CHECKING:
    from quintain.records.schema import Record

PROGRESS_INTERVAL = 0.2  # seconds between two messages about the step


def run_cell(
    cell_json: str,
    store: str,
    log: str,
    output_pipe: Connection,
    message_pipe: Connection,
    checkpoint_every: float | None,
) -> None:
    """Run a cell and write its record.

    Args:
        cell_json: the cell as JSON.
        store: folder of the store.
        log: file into which the launcher copies the output of the run.
        output_pipe: receives everything that the run prints.
        message_pipe: receives `("step", step, steps)` at most every `PROGRESS_INTERVAL` seconds,
            and at the end `("ended", status, message)`. The status is that of the record;
            "unwritten" if the store refused the record or the sources have changed since planning;
            or "interrupted" if the run saved its state after SIGTERM and can resume later.
        checkpoint_every: seconds between two checkpoints; None: only after SIGTERM.
    """
    _isolate_process(output_pipe)
    from quintain.errors import Interrupted, StoreError
    from quintain.plan.cell_file import describe_changes
    from quintain.records.redact import redact
    from quintain.records.store import Store
    from quintain.run.heartbeat import Heartbeat
    from quintain.run.runner import run_to_record
    from quintain.run.train.checkpoint import FileCheckpointer

    cell, opened_store = Cell.from_json(cell_json), Store(store)
    if changes := describe_changes(cell):
        _report_result(message_pipe, "unwritten", changes)
        return
    checkpointer = FileCheckpointer(opened_store.checkpoints(cell.key), cell.key, checkpoint_every)
    try:
        checkpointer.install_signal_handlers()
        with Heartbeat(opened_store.path, cell, _ProgressReporter(message_pipe)) as progress:
            samples = opened_store.samples(cell.key)
            record = run_to_record(cell, progress, Path(log), samples, checkpointer)
        status: str = record.status
        message = record.error.message if record.error else record.reason or _format_score(record)
        opened_store.write(record)
        checkpointer.finish(record)
    except Interrupted:
        status, message = "interrupted", ""
    except StoreError as error:
        status, message = "unwritten", str(error)
    _report_result(message_pipe, status, redact(message))
    with contextlib.suppress(OSError):
        sys.stdout.flush()


def _isolate_process(output_pipe: Connection) -> None:
    """Lead a process group, receive SIGINT, exit with the parent, and print into the pipe."""
    os.setsid()  # only the parent receives Ctrl-C, and it can kill the whole group
    # The fork server blocks SIGINT. Discard one that came before `setsid` and receive later ones.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mark_environment()
    exit_with_parent()
    for stream in (1, 2):  # file descriptors, so that output of C code is redirected too
        os.dup2(output_pipe.fileno(), stream)
    output_pipe.close()


def _format_score(record: Record) -> str:
    score = record.main_test_score()
    return "" if record.quality is None or score is None else f"{record.quality.main} {score:.4g}"


def _report_result(message_pipe: Connection, status: str, message: str) -> None:
    with contextlib.suppress(OSError):  # the parent may have ended; the record is in the store
        message_pipe.send(("ended", status, printable(message)))


class _ProgressReporter:
    def __init__(self, message_pipe: Connection) -> None:
        self._message_pipe, self._last_time = message_pipe, 0.0

    def __call__(self, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - self._last_time >= PROGRESS_INTERVAL:
            self._last_time = now
            with contextlib.suppress(OSError):
                # A sweep that is stopped does not empty the pipe; the run must not wait for it.
                if select.select([], [self._message_pipe], [], 0)[1]:
                    self._message_pipe.send(("step", step, steps))


def exit_with_parent() -> None:
    """End this process when the sweep ends, even if the sweep is killed.

    A thread waits for the sweep's process and kills the process group of the run. Because C code
    may keep the GIL from the thread, the kernel also kills the run when the fork server ends
    (Linux only: prctl(2), PR_SET_PDEATHSIG = 1).
    """
    # The server ends when its pipe from the sweep is closed, so a fork must not keep it open.
    server: Any = forkserver._forkserver
    if getattr(server, "_forkserver_alive_fd", None) is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*SIGNALS})  # the server blocks some
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def kill_group_after_parent() -> None:
        parent.join()
        kill_marked_processes(os.getpid())
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=kill_group_after_parent, daemon=True).start()
