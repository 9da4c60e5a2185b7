"""Limits of one run on this machine: time, memory, hangs, and the time to save its state."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import psutil

from quintain.compose.settings import Settings

MAX_GAP = 5.0  # seconds; a reading of a clock may be late by that much on a busy machine


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one run; None: no limit.

    Attributes:
        time: seconds that a run may take since its last start.
        memory: MiB of the run's process and its descendants.
        hang: seconds without progress: a chunk of steps, a batch of validation or test.
        grace: seconds that a run has to save its state when the sweep is interrupted.
        checkpoint_every: seconds between two checkpoints; None: only when interrupted.
    """

    time: float | None = None
    memory: float | None = None
    hang: float | None = None
    grace: float = 30.0
    checkpoint_every: float | None = 600.0

    def find_violation(self, pid: int, seconds: float, idle: float) -> tuple[str, str] | None:
        """Return the kind and message of the failure if a run exceeds a limit.

        Args:
            pid: process id of the run.
            seconds: seconds since its start.
            idle: seconds since its last message.
        """
        if self.time is not None and seconds > self.time:
            message = f"the run took longer than its limit of {self.time:g} s (launch.time_limit)"
            return "timeout", message
        if self.hang is not None and idle > self.hang:
            message = f"the run made no progress for {idle:.0f} s, limit {self.hang:g}"
            return "timeout", f"{message} (launch.hang_limit)"
        if self.memory is not None and (used := measure_memory(pid, self.memory)) > self.memory:
            return (
                "oom",
                f"the run took {used:.0f} MiB, limit {self.memory:g} (launch.memory_limit); try a"
                " smaller budget.batch_size or model, or data that are streamed (dataset.memory)",
            )
        return None


class AwakeClock:
    """Counts the seconds since its start in which this process ran.

    A process that was stopped (Ctrl-Z, a laptop that sleeps) has not seen what its runs did, so a
    gap between two readings counts `MAX_GAP` seconds at most. It must be read regularly.
    """

    def __init__(self) -> None:
        self._last_reading, self._seconds = time.monotonic(), 0.0

    def read(self) -> float:
        """Return the seconds."""
        now = time.monotonic()
        self._seconds += min(now - self._last_reading, MAX_GAP)
        self._last_reading = now
        return self._seconds


def read_limits(settings: Settings) -> Limits:
    return Limits(
        time=settings.time_limit,
        memory=settings.memory_limit,
        hang=settings.hang_limit,
        grace=settings.grace,
        checkpoint_every=settings.checkpoint_every,
    )


def measure_memory(pid: int, limit: float = 0.0) -> float:
    """Return the MiB of a process and its descendants, shared pages counted once where possible.

    The exact measure on Linux is the proportional set size (PSS, proc_pid_smaps(5)), which is slow.
    The sum of resident set sizes is an upper bound, and is returned if it does not exceed `limit`.
    """
    processes = []
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        processes = [parent, *parent.children(recursive=True)]
    resident = sum(_process_memory(process, exact=False) for process in processes)
    if resident <= limit:
        return resident
    return sum(_process_memory(process, exact=True) for process in processes)


def _process_memory(process: psutil.Process, *, exact: bool) -> float:
    try:
        if not exact:
            return float(process.memory_info().rss) / 2**20
        full = process.memory_full_info()
        return float(getattr(full, "pss", full.rss)) / 2**20
    except psutil.Error:  # the process has just ended
        return 0.0
