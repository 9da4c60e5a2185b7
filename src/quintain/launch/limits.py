"""What one run may take on this machine, and how long it may take to leave."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psutil

from quintain.compose.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Limits:
    """None: no limit.

    Attributes:
        time: seconds that a run may take, from one start.
        memory: MiB of the run's process and all it has started.
        hang: seconds without a sign of life: a chunk of steps, a batch of validation or test.
        grace: seconds that a run has for keeping its state when the sweep is interrupted.
        checkpoint_every: seconds between two checkpoints; None: only when interrupted.
    """

    time: float | None = None
    memory: float | None = None
    hang: float | None = None
    grace: float = 30.0
    checkpoint_every: float | None = 600.0

    def broken(self, pid: int, ran: float, silent: float) -> tuple[str, str] | None:
        """Kind and sentence of the failure, if a run is over a limit.

        Args:
            pid: of the run's process.
            ran: seconds since it was started.
            silent: seconds since its last sign of life.
        """
        if self.time is not None and ran > self.time:
            return (
                "timeout",
                f"the run took longer than its limit of {self.time:g} s (launch.time_limit)",
            )
        if self.hang is not None and silent > self.hang:
            return (
                "timeout",
                f"the run gave no sign of life for {silent:.0f} s, limit {self.hang:g}"
                " (launch.hang_limit)",
            )
        if self.memory is not None and (took := memory(pid, self.memory)) > self.memory:
            return (
                "oom",
                f"the run took {took:.0f} MiB, limit {self.memory:g} (launch.memory_limit); try a"
                " smaller budget.batch_size or model, or data that are streamed (dataset.memory)",
            )
        return None


def limits_of(settings: Settings) -> Limits:
    """As a plan's settings say."""
    return Limits(
        time=settings.time_limit,
        memory=settings.memory_limit,
        hang=settings.hang_limit,
        grace=settings.grace,
        checkpoint_every=settings.checkpoint_every,
    )


def memory(pid: int, enough: float = 0.0) -> float:
    """MiB of a process and its descendants: what is shared counts once, where the system tells.

    That takes a walk over all pages, so where the simple sum is below `enough`, it is given.
    """
    family = []
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    resident = sum(_of(process, exact=False) for process in family)
    if resident <= enough:
        return resident
    return sum(_of(process, exact=True) for process in family)


def _of(process: psutil.Process, *, exact: bool) -> float:
    try:
        if not exact:
            return float(process.memory_info().rss) / 2**20
        full = process.memory_full_info()
        return float(getattr(full, "pss", full.rss)) / 2**20
    except psutil.Error:  # it has just ended
        return 0.0
