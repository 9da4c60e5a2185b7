"""Handle SIGINT and SIGTERM in a command, and describe how a run's process ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

CHILD_TIMEOUT = 60.0  # seconds; twice the default of launch.grace, in which runs save their state


@contextlib.contextmanager
def collect_stop_signals() -> Iterator[list[int]]:
    """Yield a list that receives each SIGINT and SIGTERM, which then do not end the process."""
    received: list[int] = []
    if not _in_main_thread():
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C at a terminal, which child processes receive too.

    For commands that must clean up: remove worktrees, end child processes.

    Raises:
        KeyboardInterrupt: SIGTERM was received.
    """
    if not _in_main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _interrupt_children)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def describe_exit(code: int, last_line: str = "") -> str:
    """Return a message about a run that ended without a record, with the last line of its log.

    `code` is the exit code of its process, or minus the number of the signal that ended it.
    """
    if code < 0:
        cause = f"signal {signal_name(-code)}"
    else:
        cause = f"exit code {code}" + (f" ({last_line})" if last_line else "")
    message = f"the run's process ended by {cause} before it wrote its record"
    if code == -signal.SIGKILL:
        message += "; the machine may have run out of memory"
    return message


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGKILL; real-time signals have only a number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _in_main_thread() -> bool:
    """Return whether this thread may set signal handlers; Python allows only the main thread."""
    return threading.current_thread() is threading.main_thread()


def _interrupt_children(number: int, frame: FrameType | None) -> None:
    import psutil

    children = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            # Runs and the fork server are in other process groups; a sweep ends its own runs.
            if os.getpgid(child.pid) == os.getpgrp():
                child.send_signal(signal.SIGINT)
                children.append(child)
    # The children may still write into folders that the caller removes next.
    psutil.wait_procs(children, timeout=CHILD_TIMEOUT)
    raise KeyboardInterrupt
