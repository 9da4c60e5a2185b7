"""Measures the seconds that a run spends in each of its phases."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

Phase = Literal["setup", "training", "validation", "test", "logging", "measuring"]


class PhaseClocks:
    """One clock for each phase, of which exactly one runs at any time; "setup" runs first."""

    def __init__(self) -> None:
        self._phase: Phase = "setup"
        self._phase_start = time.perf_counter()
        self._seconds: dict[Phase, float] = defaultdict(float)

    def switch(self, phase: Phase) -> Phase:
        """Stop the running clock, start that of `phase`, and return the phase that ended."""
        now = time.perf_counter()
        ended = self._phase
        self._seconds[ended] += now - self._phase_start
        self._phase, self._phase_start = phase, now
        return ended

    def read(self, phase: Phase) -> float:
        """Return the seconds of a phase so far."""
        running = time.perf_counter() - self._phase_start if phase == self._phase else 0.0
        return self._seconds[phase] + running

    def read_all(self) -> dict[str, float]:
        """Return the seconds of every phase so far."""
        return {phase: self.read(phase) for phase in {*self._seconds, self._phase}}

    def add(self, seconds: Mapping[Phase, float]) -> None:
        """Add the seconds that the run took before it was interrupted."""
        for phase, value in seconds.items():
            self._seconds[phase] += value

    def read_total(self) -> float:
        """Return the seconds of all phases, which are the wall time of the run."""
        return sum(self._seconds.values()) + time.perf_counter() - self._phase_start
