"""SIGTERM for commands that leave something behind where they are killed: worktrees, children."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

PATIENCE = 60.0  # seconds; a sweep's runs have half of it to keep their state


@contextlib.contextmanager
def as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM in this block ends it as Ctrl-C at a terminal does, which tells our children too.

    Raises:
        KeyboardInterrupt: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, frame: FrameType | None) -> None:
    import psutil

    told = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(child.pid) == os.getpgrp():  # runs and their server have their own
                child.send_signal(signal.SIGINT)
                told.append(child)
    psutil.wait_procs(told, timeout=PATIENCE)  # they may still write where we clear away
    raise KeyboardInterrupt
