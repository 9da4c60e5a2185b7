"""Handle SIGINT, SIGTERM and SIGHUP in a command, and describe how a run's process ended."""

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
    """Yield a list that receives each SIGINT, SIGTERM and SIGHUP; they do not end the process.

    A SIGHUP that is ignored, as under `nohup`, stays so.
    """
    received: list[int] = []
    if not _in_main_thread():
        yield received
        return
    previous = {n: signal.signal(n, lambda n, _: _receive(n, received)) for n in _stop_signals()}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C at a terminal, which child processes receive too.

    For commands that must clean up: remove worktrees, end child processes.

    Raises:
        KeyboardInterrupt: one of them was received.
    """
    if not _in_main_thread():
        yield
        return
    numbers = _stop_signals() - {signal.SIGINT}
    previous = {number: signal.signal(number, _interrupt_children) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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


def _stop_signals() -> set[signal.Signals]:
    """Return the signals that ask a command to stop; a SIGHUP that is ignored does not."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.add(signal.SIGHUP)  # the terminal was closed
    return numbers


def _receive(number: int, received: list[int]) -> None:
    received.append(number)
    if signal.Signals(number).name == "SIGHUP":
        leave_terminal()


def leave_terminal() -> None:
    """Redirect standard output and errors to nowhere where they are a terminal that was closed."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(stream) or not _is_writable(stream):
                os.dup2(null, stream)
    os.close(null)


def _is_writable(stream: int) -> bool:
    try:
        os.write(stream, b"")
    except OSError:
        return False
    return True


def _in_main_thread() -> bool:
    """Return whether this thread may set signal handlers; Python allows only the main thread."""
    return threading.current_thread() is threading.main_thread()


def _interrupt_children(number: int, frame: FrameType | None) -> None:
    import psutil

    if signal.Signals(number).name == "SIGHUP":
        leave_terminal()

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
