"""The warm fork server: imports torch once; every run and preflight is a fork of it.

The parent itself never imports torch, so a sweep that finds everything in the store ends at once.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import cast

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.compose.preflight import Verdict
from quintain.run.machine import available_cores

PRELOAD = ["quintain.launch.apart", "quintain.launch.preload"]


@cache
def context() -> ForkServerContext:
    """The context whose processes are forks of the warm server."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before torch is imported; a run may ask for more
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(PRELOAD)
    atexit.register(_end_server)
    return made


def _end_server() -> None:
    """End the server with us; by itself it would notice only after it has imported everything."""
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def warm() -> None:
    """Start the server now; its imports go on while the caller does something else."""
    context()
    resource_tracker.ensure_running()  # by itself, because it unblocks the signal again
    # It would die of a terminal's Ctrl-C or a group's SIGTERM, which are the parent's to handle.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


SHARE = 100  # cells for which a second process is worth its start


def examine(cells: Sequence[Cell], here: bool = True) -> dict[str, Verdict]:
    """Preflight in forks of the server: key → verdict; raises UsageError with every problem.

    Many cells are looked at by as many processes as there are cores, each dataset by one.
    """
    warm()
    number = max(1, min(available_cores(), len(cells) // SHARE))
    names = list(dict.fromkeys(cell.names["dataset"] for cell in cells))
    shares: list[list[Cell]] = [[] for _ in range(number)]
    for cell in cells:
        shares[names.index(cell.names["dataset"]) % number].append(cell)
    with contextlib.ExitStack() as ends:
        asked = [ends.enter_context(_asked(share, here)) for share in shares if share]
        answers = [answer() for answer in asked]
    if problems := [text for answer in answers if isinstance(answer, list) for text in answer]:
        raise UsageError(dict.fromkeys(problems))
    verdicts: dict[str, Verdict] = {}
    for answer in answers:
        verdicts |= cast(dict[str, Verdict], answer)
    return verdicts


@contextlib.contextmanager
def _asked(cells: Sequence[Cell], here: bool) -> Iterator[Callable[[], object]]:
    """A fork that preflights these cells; what it gives waits for the answer."""
    ours, theirs = context().Pipe(duplex=False)
    child = context().Process(target=_examine, args=([c.to_json() for c in cells], here, theirs))
    child.start()
    theirs.close()

    def answer() -> object:
        try:
            return ours.recv()
        except EOFError:
            child.join()
            raise UsageError(
                f"preflight ended with exit code {child.exitcode} before it had an answer;"
                " a plugin may have crashed the interpreter, see above"
            ) from None

    try:
        yield answer
    finally:
        ours.close()
        child.kill()  # it has answered, or nobody waits for its answer
        child.join()


def _examine(cells: Sequence[str], here: bool, parent: Connection) -> None:
    from quintain.compose.preflight import preflight
    from quintain.compose.providers import import_local, use_folder
    from quintain.launch.worker import follow_parent

    os.setsid()
    follow_parent()
    frozen = [Cell.from_json(text) for text in cells]
    for folder in frozen[0].plugins:
        use_folder(folder)
    import_local()
    answer: object
    try:
        answer = preflight(frozen, here)
    except UsageError as error:
        answer = error.problems
    with contextlib.suppress(OSError):  # the parent may have been interrupted
        parent.send(answer)
