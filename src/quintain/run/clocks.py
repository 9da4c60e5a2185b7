"""Separate clocks: at any time exactly one runs, so their sum is the wall time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

Phase = Literal["setup", "training", "validation", "test", "logging", "measuring"]


class Clocks:
    """Seconds spent in each phase since the object was made; starts in "setup"."""

    def __init__(self) -> None:
        self._phase: Phase = "setup"
        self._since = time.perf_counter()
        self._seconds: dict[Phase, float] = defaultdict(float)

    def switch(self, phase: Phase) -> Phase:
        """Stop the running clock and start another; gives the phase that ended."""
        now = time.perf_counter()
        ended = self._phase
        self._seconds[ended] += now - self._since
        self._phase, self._since = phase, now
        return ended

    def read(self, phase: Phase) -> float:
        """Seconds of a phase so far."""
        running = time.perf_counter() - self._since if phase == self._phase else 0.0
        return self._seconds[phase] + running

    def seconds(self) -> dict[str, float]:
        """Seconds of every phase so far, for `add` of a later run."""
        phases: set[Phase] = {*self._seconds, self._phase}
        return {phase: self.read(phase) for phase in phases}

    def add(self, seconds: Mapping[Phase, float]) -> None:
        """Go on from what an earlier, interrupted run has taken."""
        for phase, value in seconds.items():
            self._seconds[phase] += value

    def total(self) -> float:
        """Seconds of all phases: the wall time since the object was made."""
        return sum(self._seconds.values()) + time.perf_counter() - self._since
