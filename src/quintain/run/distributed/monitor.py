"""Detects a rank that ends in the middle of a run, ends the other ranks, and reports the cause.

When a process ends, its connections close, so gloo raises an error in every rank that waits for it.
NCCL may not, so a thread of rank 0 ends the whole run if rank 0 does not return from waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch.distributed import DistError, Store  # type: ignore[attr-defined]

from quintain.errors import ExitCode, RankFailed
from quintain.run.log import BoundedLog
from quintain.run.record.failure import classify_failure

POLL_SECONDS = 0.1
NOTICE_SECONDS = 30.0  # time for rank 0 to get an error from gloo after a rank has ended
SETTLE_SECONDS = 5.0  # time for the remaining ranks to report their errors
EXIT_SECONDS = 20.0  # time for a rank that has finished to exit
TAIL_BYTES = 2000  # of a rank's log
CONNECTION_TERMS = ("gloo", "NCCL", "onnection", "Socket", "Broken pipe")
"""Parts of the messages of RuntimeErrors that mean a lost connection."""


@dataclass(frozen=True)
class RankProcess:
    """A rank that this process has started, and its log: the file and what writes it."""

    rank: int
    process: subprocess.Popen[bytes]
    log_file: Path
    log: BoundedLog | None = None

    def read_log_tail(self) -> str:
        """Return the last lines that the rank printed."""
        if self.log is not None and self.process.poll() is not None:
            self.log.close()  # so that the file is complete
        with contextlib.suppress(OSError):
            return self.log_file.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        return ""

    def describe_failure(self) -> str | None:
        """Return how the rank failed; None while it runs and after it has succeeded."""
        code = self.process.poll()
        if code in (None, ExitCode.OK, ExitCode.PREEMPTED):
            return None
        ending = f"by {_get_signal_name(-code)}" if code < 0 else f"with exit code {code}"
        lines = self.read_log_tail()
        return f"ended {ending}; " + (
            f"its last lines:\n{lines}" if lines else "it printed nothing"
        )

    @property
    def was_killed(self) -> bool:
        """Whether it ended by a signal."""
        return (self.process.poll() or 0) < 0


class RankMonitor:
    """Watches the ranks that this process has started; none if srun or torchrun started them."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size
        self._ranks: list[RankProcess] = []
        self._stopped = threading.Event()

    def add(self, rank: RankProcess) -> None:
        """Watch one more rank."""
        self._ranks.append(rank)
        if len(self._ranks) == 1:
            threading.Thread(target=self._watch, daemon=True, name="quintain-ranks").start()

    def stop(self) -> None:
        """Stop watching, when the ranks have sent all results and rank 0 continues alone."""
        self._stopped.set()

    def check(self) -> None:
        """Raise RankFailed if a rank has failed."""
        if failure := self.find_failure():
            raise failure

    def find_failure(self, *, killed_only: bool = False) -> RankFailed | None:
        """Return the failure of the first rank that failed, or only of one ended by a signal."""
        for rank in self._ranks:
            failure = rank.describe_failure()
            if failure and (rank.was_killed or not killed_only):
                kind = "killed" if rank.was_killed else "exception"
                return RankFailed(f"rank {rank.rank} of {self.world_size} {failure}", kind)
        return None

    def wait_for_reports(self) -> None:
        """Wait up to `SETTLE_SECONDS` until the ranks have reported their errors and ended."""
        end = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end and any(r.process.poll() is None for r in self._ranks):
            time.sleep(POLL_SECONDS)

    def read_running_logs(self) -> str:
        """Return the last lines of the ranks that have not ended."""
        running = [r for r in self._ranks if r.process.poll() is None]
        return "\n".join(f"rank {r.rank}: {r.read_log_tail()}" for r in running)

    def terminate(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the ranks to exit, and kill those that do not."""
        self._stopped.set()
        end = time.monotonic() + timeout
        for rank in self._ranks:
            try:
                rank.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                rank.process.kill()
                rank.process.wait()
            if rank.log is not None:
                rank.log.close()

    def _watch(self) -> None:
        """End this process if a rank has failed and this one does not notice it by itself."""
        while not self._stopped.wait(POLL_SECONDS):
            failure = self.find_failure()
            if failure and not self._stopped.wait(NOTICE_SECONDS):
                print(failure, file=sys.stderr, flush=True)
                os._exit(ExitCode.RANK_LOST)


@contextmanager
def report_failures(store: Store, rank: int, monitor: RankMonitor) -> Iterator[None]:
    """Send errors of other ranks to rank 0, raise them there, and end the ranks at the end.

    Raises:
        RankFailed: in rank 0, where another rank is the cause of an error.
    """
    timeout = 0.0
    try:
        yield
        timeout = EXIT_SECONDS
    except Exception as error:
        if rank != 0:
            _send_report(store, rank, error)
            raise
        cause = _find_cause(error, store, monitor)
        if cause is None:
            raise
        raise cause from error
    finally:
        monitor.terminate(timeout)


def _send_report(store: Store, rank: int, error: Exception) -> None:
    is_lost = _is_lost_connection(error)
    report = {
        "is_lost_connection": is_lost,
        "kind": "exception" if is_lost else classify_failure(error),
        "message": f"{type(error).__name__}: {error}",
    }
    with contextlib.suppress(Exception):  # rank 0 may have ended, and with it the store
        store.set(f"error/{rank}", json.dumps(report))


def _find_cause(error: Exception, store: Store, monitor: RankMonitor) -> RankFailed | None:
    """Return the failure of another rank that caused an error of rank 0; None if there is none."""
    if not _is_lost_connection(error):
        return None
    monitor.wait_for_reports()
    if isinstance(error, RankFailed):
        return None
    if killed := monitor.find_failure(killed_only=True):
        return killed
    for rank in range(1, monitor.world_size):
        key = f"error/{rank}"
        report = json.loads(store.get(key)) if store.check([key]) else None
        if report and not report["is_lost_connection"]:
            message = f"rank {rank} of {monitor.world_size} failed: {report['message']}"
            return RankFailed(message, report["kind"])
    logs = monitor.read_running_logs()
    if not logs:
        return None
    return RankFailed(f"a rank did not answer ({error}); the last lines of\n{logs}", "timeout")


def _is_lost_connection(error: Exception) -> bool:
    """Return whether an error means only that another rank could not be reached."""
    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and any(term in str(error) for term in CONNECTION_TERMS)
    )


def _get_signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
