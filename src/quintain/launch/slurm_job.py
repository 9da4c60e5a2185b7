"""What submitit runs on a node of a Slurm cluster: one cell, checkpointed when Slurm asks."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from submitit.helpers import DelayedSubmission

from quintain.launch.job import TOLD, Order, Run, carry_out


class CellJob:
    """Runs an order. Pickled by submitit before it has run, so it holds nothing before `__call__`.

    Slurm sends USR2 some time before a job's end or its pre-emption; submitit then calls
    `checkpoint` from its signal handler and queues the job again. SIGTERM comes with scancel and
    with a requeue that Slurm does by itself: the run keeps its state and we leave it at that.
    """

    def __init__(self) -> None:
        self._run: Run | None = None
        self._told = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]

    def __call__(self, order: Order) -> str:
        """Says how it ended; the result is in the store."""
        self._run = Run(order)
        signal.signal(signal.SIGTERM, self._end)
        return carry_out(order, self._run, self._told)

    def checkpoint(self, order: Order) -> DelayedSubmission | None:
        """The job that goes on later; None where the run had ended already."""
        self._told.set()
        if self._run is None or self._run.end(signal.SIGUSR2) in TOLD:
            return DelayedSubmission(CellJob(), order)
        return None

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._told.set()
        if self._run is not None:
            self._run.end(signal.SIGTERM)
