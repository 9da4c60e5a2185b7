"""Times optimizer steps and limits the time of training."""

from __future__ import annotations

import time
from collections.abc import Callable

from quintain.run.clocks import PhaseClocks
from quintain.run.distributed.context import SINGLE_PROCESS, DistContext
from quintain.run.train.history import TrainingHistory


class StepTimer:
    """Adds the milliseconds of each step of a chunk to a history.

    Args:
        history: gets `step_ms` and `all_reduce_ms`.
        dist: counts the seconds spent in collectives.
        synchronize: waits until the device has finished all work.
        times_each_step: whether to time each step, which is possible on a CPU because operations
            have ended when they return. Otherwise (a GPU) the time of a chunk is divided evenly.
        read_seconds: the clock.
    """

    def __init__(
        self,
        history: TrainingHistory,
        dist: DistContext = SINGLE_PROCESS,
        synchronize: Callable[[], None] = lambda: None,
        times_each_step: bool = True,
        read_seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._history, self._dist, self._synchronize = history, dist, synchronize
        self.times_each_step, self._read_seconds = times_each_step, read_seconds

    def start_chunk(self) -> None:
        self._seconds: list[float] = []
        self._chunk_start = self._read_seconds()

    def start_step(self) -> None:
        self._step_start = self._read_seconds()
        self._collective_start = self._dist.collective_seconds

    def end_step(self) -> None:
        self._seconds.append(self._read_seconds() - self._step_start)
        seconds = self._dist.collective_seconds - self._collective_start
        self._history.all_reduce_ms.append(1e3 * seconds)

    def end_chunk(self) -> None:
        self._synchronize()
        seconds = self._seconds
        if not self.times_each_step:
            seconds = [(self._read_seconds() - self._chunk_start) / len(seconds)] * len(seconds)
        self._history.step_ms += [1e3 * s for s in seconds]


class TimeLimit:
    """A limit of the seconds of training without validation; `seconds` None means no limit."""

    def __init__(
        self, clocks: PhaseClocks, seconds: float | None, dist: DistContext = SINGLE_PROCESS
    ) -> None:
        self._clocks, self._seconds, self._dist = clocks, seconds, dist

    def is_reached(self) -> bool:
        """Return the decision of rank 0, so that all ranks stop together; each must call it."""
        if self._seconds is None:
            return False
        return self._dist.broadcast_flag(self._clocks.read("training") >= self._seconds)
