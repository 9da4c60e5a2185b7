"""Meters of a machine without its GPU: memory, energy and thermal throttling.

`read` returns the reason, a string, where a value cannot be measured.
"""

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


class AbsentMeter:
    """A meter without a value: `read` returns the reason."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self) -> str:
        return self._reason


class HostMemory:
    """Peak resident memory of the process since it started, in MiB.

    On Linux this is VmHWM of /proc/self/status (proc(5)), because a process inherits the peak of
    getrusage(2) from its parent. Other systems have getrusage only.
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
    """Energy of the CPU packages in kWh, from the kernel's powercap counters (RAPL).

    The counters hold microjoules and wrap around at `max_energy_range_uj`, under load after
    minutes, so a thread reads them periodically. They count the energy of all processes.

    Args:
        root: powercap folder of sysfs.
        interval: seconds between two readings.
    """

    name = "energy_kwh"
    whole_machine = True

    def __init__(self, root: Path = Path("/sys/class/powercap"), *, interval: float = 30.0) -> None:
        packages = (zone for zone in root.glob("intel-rapl:*") if zone.name.count(":") == 1)
        self._zones = sorted(packages)  # intel-rapl:0 includes intel-rapl:0:0
        self._interval = interval
        self._before: list[int] = []
        self._microjoules = 0
        self._reason = "" if self._zones else "no energy counter (RAPL) on this machine"
        self._is_stopped, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._update_periodically, daemon=True)

    def start(self) -> None:
        self._before = self._read_counters("energy_uj")
        self._range = self._read_counters("max_energy_range_uj")
        if not self._reason:
            self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._update()

    def read(self) -> float | str:
        if self._thread.ident is not None and not self._is_stopped.is_set():
            self._update()  # checkpoints read a running meter
        return self._reason or self._microjoules / 1e6 / JOULES_PER_KWH

    def _update_periodically(self) -> None:
        while not self._is_stopped.wait(self._interval):
            self._update()

    def _update(self) -> None:
        """Add the energy since the last reading."""
        with self._lock:
            now = self._read_counters("energy_uj")
            if not self._reason:
                counters = zip(self._before, now, self._range, strict=True)
                self._microjoules += sum(
                    (after - before) % size for before, after, size in counters
                )
                self._before = now

    def _read_counters(self, name: str) -> list[int]:
        try:
            return [int((zone / name).read_text()) for zone in self._zones]
        except (OSError, ValueError) as error:
            self._reason = f"the energy counter (RAPL) cannot be read: {error}"
            return []


class ThermalThrottling:
    """Number of thermal throttling events, summed over all cores of the machine.

    Linux counts them on x86 as `core_throttle_count` (arch/x86/kernel/cpu/mce/therm_throt.c), but
    not in virtual machines. `package_throttle_count` would count the same events again.

    Args:
        root: CPU folder of sysfs.
    """

    name = "throttled_events"
    whole_machine = True

    def __init__(self, root: Path = Path("/sys/devices/system/cpu")) -> None:
        self._counters = sorted(root.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
        self._before = self._after = 0
        self._is_running = False
        self._reason = "" if self._counters else "no counter of thermal throttling on this machine"

    def start(self) -> None:
        self._before, self._is_running = self._read_counters(), True

    def stop(self) -> None:
        self._after, self._is_running = self._read_counters(), False

    def read(self) -> float | str:
        if self._is_running:
            self._after = self._read_counters()
        return self._reason or float(max(0, self._after - self._before))

    def _read_counters(self) -> int:
        try:
            return sum(int(counter.read_text()) for counter in self._counters)
        except (OSError, ValueError) as error:
            self._reason = f"the counters of thermal throttling cannot be read: {error}"
            return 0


def cpu_meters() -> list[Meter]:
    """Return new meters of a run on the CPU."""
    no_device = AbsentMeter("device_peak_mb", "the CPU has no memory of its own")
    return [HostMemory(), RaplEnergy(), ThermalThrottling(), no_device]
