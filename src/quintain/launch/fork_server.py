"""The fork server: a process that has imported torch; runs and preflights are forks of it.

The process of the sweep never imports torch, so a sweep whose records are all in the store is fast.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from quintain.run.environment import PARENT_VARIABLE, run_environment

MAX_STARTS = 3  # of the fork server, for one process
RESTART_PAUSE = 0.2  # seconds in which the system notices that the server has ended
PRELOAD = ["quintain.launch.own_process_group", "quintain.launch.fork_server_preload"]


class _Process(ForkServerProcess):
    """Does not import the main script in the child, so that scripts need no `__main__` guard."""

    @staticmethod
    def _Popen(process: BaseProcess) -> Any:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")  # it has no file, so nothing is imported
        try:
            return _start_process(process)
        finally:
            sys.modules["__main__"] = main


def _start_process(process: BaseProcess) -> Any:
    """Start a process, in a new fork server if the server was killed.

    Raises:
        ChildProcessError: each server was killed.
    """
    for _ in range(MAX_STARTS):
        start_fork_server()
        try:
            return ForkServerProcess._Popen(process)
        except (EOFError, ConnectionError):
            time.sleep(RESTART_PAUSE)
    raise ChildProcessError(
        f"the fork server, which starts all runs, was killed {MAX_STARTS} times; the machine may"
        " have run out of memory"
    )


class _Context(ForkServerContext):
    Process = _Process


@cache
def fork_context() -> ForkServerContext:
    """Return the multiprocessing context whose processes are forks of the server."""
    context = _Context()
    context.set_forkserver_preload(PRELOAD)
    atexit.register(_kill_server)
    return context


def _kill_server() -> None:
    """End the server at once: by itself it would first finish its imports."""
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start_fork_server() -> None:
    """Start the server unless it runs; it imports in the background."""
    fork_context()
    resource_tracker.ensure_running()  # before the signals are blocked, because it unblocks SIGINT
    # The server inherits the signal mask, so only the sweep handles Ctrl-C and SIGTERM.
    blocked = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    # Without PYTHONSAFEPATH a file of the current folder, such as random.py, would be imported
    # instead of the module of that name.
    variables = {"PYTHONSAFEPATH": "1"}
    if threading.current_thread() is threading.main_thread():
        variables[PARENT_VARIABLE] = str(os.getpid())
    try:
        with run_environment(variables):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


class ForkedCall:
    """Calls a picklable function in a fork; the end of the `with` block kills it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        start_fork_server()
        self._result, self._sender = fork_context().Pipe(duplex=False)
        self._process = fork_context().Process(
            target=_call, args=(function, arguments, self._sender)
        )

    def __enter__(self) -> ForkedCall:
        self._process.start()
        self._sender.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._result.close()
        self._process.kill()
        self._process.join()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the return value.

        Raises:
            TimeoutError: it took longer than `timeout` seconds.
            ChildProcessError: the process ended without a result; the message has its exit code.
        """
        if not self._result.poll(timeout):
            raise TimeoutError(f"it took longer than {timeout:g} s")
        try:
            return self._result.recv()
        except EOFError:
            self._process.join()
            raise ChildProcessError(
                f"its process ended with exit code {self._process.exitcode}"
            ) from None


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], sender: Connection) -> None:
    from quintain.launch.worker import exit_with_parent

    os.setsid()  # so that Ctrl-C at a terminal does not reach this process
    exit_with_parent()
    value = function(*arguments)
    with contextlib.suppress(OSError):  # the parent may have been interrupted
        sender.send(value)
