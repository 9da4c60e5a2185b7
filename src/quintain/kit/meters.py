"""Meters that hardware plugins share. What cannot be measured is absent, with a reason."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

JOULES_PER_KWH = 3.6e6


class Absent:
    """Stands for a meter that this machine does not have."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self) -> str:
        """The reason."""
        return self._reason


class HostMemory:
    """Largest resident memory of the process since it began, MiB (getrusage(2))."""

    name = "host_peak_mb"

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self) -> float:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


class RaplEnergy:
    """Energy of the CPU packages by the difference of their counters, kWh.

    The kernel's powercap interface counts microjoules and wraps at `max_energy_range_uj`.
    A whole package is counted, with whatever else ran on it.
    """

    name = "energy_kwh"

    def __init__(self, root: Path = Path("/sys/class/powercap")) -> None:
        self._zones = sorted(root.glob("intel-rapl:[0-9]"))
        self._before: list[int] | None = None
        self._joules: float | None = None

    def start(self) -> None:
        self._before = self._counts()

    def stop(self) -> None:
        after = self._counts()
        if self._before is None or after is None:
            return
        wrap = [int((z / "max_energy_range_uj").read_text()) for z in self._zones]
        spent = [(b - a) % w for a, b, w in zip(self._before, after, wrap, strict=True)]
        self._joules = sum(spent) / 1e6

    def read(self) -> float | str:
        if self._joules is None:
            return "no readable energy counter (RAPL) on this machine"
        return self._joules / JOULES_PER_KWH

    def _counts(self) -> list[int] | None:
        try:
            return [int((z / "energy_uj").read_text()) for z in self._zones] or None
        except OSError:
            return None
