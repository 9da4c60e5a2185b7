"""Meters of an NVIDIA GPU: torch's memory statistics, and values from the driver's library, NVML.

`read` returns the reason, a string, where a value cannot be measured.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from quintain.meters.host import JOULES_PER_KWH, HostMemory

if TYPE_CHECKING:
    from quintain.contracts import Meter

INTERVAL = 0.5  # seconds between two samples of utilisation, clock and throttling
THERMAL_REASONS = 0x8 | 0x20 | 0x40 | 0x80  # HW slowdown, SW and HW thermal, HW power brake
NOT_STARTED = "the meter was not started"


def cuda_meters() -> list[Meter]:
    """Return new meters of torch's current device."""
    sampler = _Sampler()
    return [
        HostMemory(),
        DeviceMemory(),
        NvmlEnergy(),
        _SampleMean("gpu_utilisation", sampler, lambda sample: sample.utilisation / 100),
        _SampleMean("gpu_clock_mhz", sampler, lambda sample: sample.clock_mhz),
        _SampleMean("throttled_share", sampler, lambda sample: float(sample.is_throttled)),
        OtherProcesses(),
    ]


class DeviceMemory:
    """Peak of the memory that torch allocated on the device since the start, in MiB."""

    name = "device_peak_mb"

    def start(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def stop(self) -> None: ...

    def read(self) -> float:
        import torch

        return torch.cuda.max_memory_allocated() / 2**20


class NvmlEnergy:
    """Energy in kWh between start and stop, or until now, from the device's own counter."""

    name = "energy_kwh"

    def __init__(self) -> None:
        self._before: float | str = NOT_STARTED
        self._after: float | str | None = None

    def start(self) -> None:
        self._before = query_nvml(_read_millijoules)

    def stop(self) -> None:
        self._after = query_nvml(_read_millijoules)

    def read(self) -> float | str:
        if isinstance(self._before, str):
            return self._before
        after = query_nvml(_read_millijoules) if self._after is None else self._after
        return after if isinstance(after, str) else (after - self._before) / 1e3 / JOULES_PER_KWH


class OtherProcesses:
    """Number of other processes that use the device: the larger one of those at start and stop."""

    name = "other_processes"

    def __init__(self) -> None:
        self._counts: list[float | str] = []

    def start(self) -> None:
        self._counts.append(query_nvml(_count_other_processes))

    stop = start

    def read(self) -> float | str:
        reasons = [count for count in self._counts if isinstance(count, str)]
        return reasons[0] if reasons else max(map(float, self._counts), default=0.0)


class _Sample(NamedTuple):
    utilisation: float  # percent
    clock_mhz: float
    is_throttled: bool


class _Sampler:
    """Samples the device periodically in a thread; several meters share the samples."""

    def __init__(self) -> None:
        self.samples: list[_Sample] = []
        self.reason = NOT_STARTED  # why there is no value; empty if there is one
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; does nothing if another meter has started it."""
        import torch

        if self._thread is None:
            device = torch.cuda.current_device() if torch.cuda.is_available() else None
            self._thread = threading.Thread(
                target=self._run, args=(device,), daemon=True, name="quintain-nvml"
            )
            self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, device: int | None) -> None:
        import torch

        if device is not None:  # in a new thread, the current device is the first
            torch.cuda.set_device(device)
        while True:
            sample = query_nvml(_take_sample)
            if isinstance(sample, str):
                self.reason = sample
                return
            self.samples.append(sample)
            self.reason = ""
            if self._is_stopped.wait(INTERVAL):
                return


class _SampleMean:
    """The mean of one value over all samples."""

    def __init__(self, name: str, sampler: _Sampler, get_value: Callable[[_Sample], float]) -> None:
        self.name, self._sampler, self._get_value = name, sampler, get_value
        self.start, self.stop = sampler.start, sampler.stop

    def read(self) -> float | str:
        return self._sampler.reason or fmean(map(self._get_value, self._sampler.samples))


def query_nvml(query: Callable[[Any, Any], Any]) -> Any:
    """Return `query(pynvml, handle)` for torch's current device, or the reason if it fails."""
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        return query(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    except ImportError:
        return "needs nvidia-ml-py: pip install nvidia-ml-py"
    except Exception as error:  # NVML has many error classes; a run continues after each of them
        return f"NVML: {error}"


def _read_millijoules(nvml: Any, gpu: Any) -> float:
    return float(nvml.nvmlDeviceGetTotalEnergyConsumption(gpu))


def _take_sample(nvml: Any, gpu: Any) -> _Sample:
    reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
    return _Sample(
        utilisation=float(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
        clock_mhz=float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
        is_throttled=bool(reasons & THERMAL_REASONS),
    )


def _count_other_processes(nvml: Any, gpu: Any) -> float:
    processes = nvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    return float(sum(process.pid != os.getpid() for process in processes))
