"""Meters that hardware plugins share. What cannot be measured is absent, with a reason."""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quintain.contracts import Meter

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
    """Largest resident memory of the process since it began, MiB.

    Linux's VmHWM (proc(5)): the peak that getrusage(2) gives is handed down from the process that
    started this one. Elsewhere getrusage.
    """

    name = "host_peak_mb"

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self) -> float:
        with contextlib.suppress(OSError, ValueError, IndexError):
            status = Path("/proc/self/status").read_text()
            return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) / 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


class RaplEnergy:
    """Energy of the CPU packages by the difference of their counters, kWh.

    The kernel's powercap interface counts microjoules and wraps at `max_energy_range_uj`, after
    minutes under load; so the counters are read now and then, not only at the ends.
    A whole package is counted, with whatever else ran on it.

    Args:
        root: the powercap folder of sysfs.
        every: seconds between two readings.
    """

    name = "energy_kwh"
    whole_machine = True

    def __init__(self, root: Path = Path("/sys/class/powercap"), *, every: float = 30.0) -> None:
        packages = (zone for zone in root.glob("intel-rapl:*") if zone.name.count(":") == 1)
        self._zones = sorted(packages)  # intel-rapl:0:0 is a part of intel-rapl:0
        self._every = every
        self._last: list[int] = []
        self._microjoules = 0
        self._reason = "" if self._zones else "no energy counter (RAPL) on this machine"
        self._over, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._last = self._counts("energy_uj")
        self._wrap = self._counts("max_energy_range_uj")
        if not self._reason:
            self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._add()

    def read(self) -> float | str:
        if self._thread.ident is not None and not self._over.is_set():
            self._add()  # a checkpoint keeps what has been used so far
        return self._reason or self._microjoules / 1e6 / JOULES_PER_KWH

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._add()

    def _add(self) -> None:
        """What has been used since the last look."""
        with self._lock:
            now = self._counts("energy_uj")
            if not self._reason:
                spent = ((b - a) % w for a, b, w in zip(self._last, now, self._wrap, strict=True))
                self._microjoules += sum(spent)
                self._last = now

    def _counts(self, name: str) -> list[int]:
        try:
            return [int((zone / name).read_text()) for zone in self._zones]
        except (OSError, ValueError) as error:
            self._reason = f"the energy counter (RAPL) cannot be read: {error}"
            return []


class ThermalThrottling:
    """How often heat held a core back, all cores of the machine added up.

    The counters of Linux on x86 (`core_throttle_count`, arch/x86/kernel/cpu/mce/therm_throt.c); a
    virtual machine has none. A package's counter would count once more what its cores tell.

    Args:
        root: the processors' folder of sysfs.
    """

    name = "throttled_events"
    whole_machine = True

    def __init__(self, root: Path = Path("/sys/devices/system/cpu")) -> None:
        self._counters = sorted(root.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
        self._before = self._after = 0
        self._runs = False
        self._reason = "" if self._counters else "no counter of thermal throttling on this machine"

    def start(self) -> None:
        self._before, self._runs = self._count(), True

    def stop(self) -> None:
        self._after, self._runs = self._count(), False

    def read(self) -> float | str:
        if self._runs:
            self._after = self._count()
        return self._reason or float(max(0, self._after - self._before))

    def _count(self) -> int:
        try:
            return sum(int(counter.read_text()) for counter in self._counters)
        except (OSError, ValueError) as error:
            self._reason = f"the counters of thermal throttling cannot be read: {error}"
            return 0


def cpu_meters() -> list[Meter]:
    """Of a run on the CPU."""
    absent = Absent("device_peak_mb", "the CPU has no memory apart")
    return [HostMemory(), RaplEnergy(), ThermalThrottling(), absent]
