"""Ends every process that a run has started, also those that have a session of their own.

A run marks its environment (`mark_environment`), which the programs that it starts inherit.
Processes that it forks without starting a program are found as its children while the run lives.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from quintain.run.environment import RUN_VARIABLE


def kill_process_tree(run: int) -> None:
    """Kill a run, by its process id, and all processes that it has started."""
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(run).children(recursive=True)
    kill_leftovers(run)
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()


def kill_leftovers(run: int) -> None:
    """Kill the process group of a run, which may have ended, and the programs that it has left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(run, signal.SIGKILL)
    kill_marked_processes(run)


def kill_marked_processes(run: int) -> None:
    """Kill the programs that a run has started, but not this process."""
    for pid in _find_marked_processes(f"{RUN_VARIABLE}={run}"):
        if pid not in (os.getpid(), run):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _find_marked_processes(mark: str) -> Iterator[int]:
    """Yield the processes with a variable in the environment that they were started with."""
    if Path("/proc/self/environ").exists():  # psutil takes thirty times as long
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):  # of another user, or it has ended
                    if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                        yield int(folder.name)
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(RUN_VARIABLE) == mark.partition("=")[2]:
                yield process.pid
