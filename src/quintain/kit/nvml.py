"""Meters of an NVIDIA GPU: torch's own count of memory, and what the driver's library (NVML) tells.

What cannot be read is absent, with the reason.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quintain.kit.meters import JOULES_PER_KWH, HostMemory

if TYPE_CHECKING:
    from quintain.contracts import Meter

EVERY = 0.5  # seconds between two looks at utilisation, clocks and throttling
THERMAL = (0x8, 0x20, 0x40, 0x80)  # HW slowdown; SW thermal, HW thermal and HW power-brake slowdown


def cuda_meters() -> list[Meter]:
    """Of the GPU that is torch's current device."""
    shared = _Sampled()
    return [
        HostMemory(),
        DeviceMemory(),
        NvmlEnergy(),
        _Share("gpu_utilisation", shared, lambda looks: _mean([u for u, _, _ in looks]) / 100),
        _Share("gpu_clock_mhz", shared, lambda looks: _mean([c for _, c, _ in looks])),
        _Share("throttled_share", shared, lambda looks: _mean([float(t) for _, _, t in looks])),
        OtherProcesses(),
    ]


class DeviceMemory:
    """Largest memory that torch held on the device between start and stop, MiB."""

    name = "device_peak_mb"

    def start(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def stop(self) -> None: ...

    def read(self) -> float:
        import torch

        return torch.cuda.max_memory_allocated() / 2**20


class NvmlEnergy:
    """Energy of the device by the difference of its own counter (millijoules), kWh."""

    name = "energy_kwh"

    def __init__(self) -> None:
        self._before: float | str = "the meter was not started"
        self._spent: float | str = self._before
        self._over = False

    def start(self) -> None:
        self._before = asked(lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu))

    def stop(self) -> None:
        self._take()
        self._over = True

    def read(self) -> float | str:
        """Until the end, or until now."""
        if not self._over:
            self._take()
        return self._spent

    def _take(self) -> None:
        after = asked(lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu))
        if isinstance(self._before, str) or isinstance(after, str):
            self._spent = str(self._before if isinstance(self._before, str) else after)
        else:
            self._spent = (after - self._before) / 1e3 / JOULES_PER_KWH


class OtherProcesses:
    """Other processes that compute on the device: when training began or ended, the more."""

    name = "other_processes"

    def __init__(self) -> None:
        self._counts: list[float | str] = []

    def start(self) -> None:
        self._counts.append(asked(_others))

    def stop(self) -> None:
        self._counts.append(asked(_others))

    def read(self) -> float | str:
        reasons = [count for count in self._counts if isinstance(count, str)]
        numbers = [count for count in self._counts if not isinstance(count, str)]
        return reasons[0] if reasons else max(numbers, default=0.0)


Look = tuple[float, float, bool]
"""Utilisation in percent, clock in MHz, throttled or not."""


class _Sampled:
    """Looks at the device now and then, in a thread; several meters read what it saw."""

    def __init__(self, every: float = EVERY) -> None:
        self.looks: list[Look] = []
        self.reason = "the meter was not started"
        self._every = every
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._device: int | None = None

    def start(self) -> None:
        """Once for all meters that share this."""
        if self._thread is None:
            self._device = _device()
            self._thread = threading.Thread(target=self._watch, daemon=True, name="quintain-nvml")
            self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        if self._device is not None:  # a new thread's own is the first
            import torch

            torch.cuda.set_device(self._device)
        while True:
            look = asked(_look)
            if isinstance(look, str):
                self.reason = look
                return
            self.reason = ""
            self.looks.append(look)
            if self._over.wait(self._every):
                return


def _device() -> int | None:
    """torch's device of this thread, if there is any."""
    import torch

    return torch.cuda.current_device() if torch.cuda.is_available() else None


class _Share:
    """One number of what was seen."""

    def __init__(self, name: str, seen: _Sampled, number: Callable[[list[Look]], float]) -> None:
        self.name, self._seen, self._number = name, seen, number

    def start(self) -> None:
        self._seen.start()

    def stop(self) -> None:
        self._seen.stop()

    def read(self) -> float | str:
        return self._seen.reason or self._number(self._seen.looks)


def asked(question: Callable[[Any, Any], Any]) -> Any:
    """What NVML answers of torch's current device; or the reason why it does not, as text."""
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        return question(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    except ImportError:
        return "needs nvidia-ml-py: pip install nvidia-ml-py"
    except Exception as error:  # NVML has one error class a cause; each means "no value"
        return f"NVML: {error}"


def _look(nvml: Any, gpu: Any) -> Look:
    reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
    return (
        float(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
        float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
        any(reasons & bit for bit in THERMAL),
    )


def _others(nvml: Any, gpu: Any) -> float:
    running = nvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    return float(sum(process.pid != os.getpid() for process in running))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
