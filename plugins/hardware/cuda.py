"""One NVIDIA GPU."""

from __future__ import annotations

import ctypes
from typing import Any, Literal

from quintain.contracts import Meter
from quintain.kit.meters import JOULES_PER_KWH, HostMemory


class Cuda:
    """The first visible NVIDIA GPU (`CUDA_VISIBLE_DEVICES` chooses).

    Args:
        precision: as in `pytorch_lightning.Trainer`; float16 would need its loss scaled.
    """

    def __init__(self, *, precision: Literal["32-true", "bf16-mixed"] = "32-true") -> None:
        self._precision = precision

    def missing(self) -> str | None:
        """Asks the driver, not torch, so that planning stays light."""
        try:
            driver = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return "needs an NVIDIA GPU; this machine has no NVIDIA driver (libcuda.so.1)"
        count = ctypes.c_int(0)
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
        if failed or count.value < 1:
            return "needs an NVIDIA GPU; the driver is here but shows no device"
        return None

    def trainer_arguments(self) -> dict[str, Any]:
        return {"accelerator": "cuda", "devices": 1, "precision": self._precision}

    def threads(self) -> int:
        return 1

    def meters(self) -> list[Meter]:
        return [HostMemory(), _DeviceMemory(), _NvmlEnergy()]

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize()


class _DeviceMemory:
    """Largest memory that torch held on the device between start and stop, MiB."""

    name = "device_peak_mb"

    def start(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def stop(self) -> None: ...

    def read(self) -> float:
        import torch

        return torch.cuda.max_memory_allocated() / 2**20


class _NvmlEnergy:
    """Energy of the device by the difference of its own counter (NVML, millijoules), kWh."""

    name = "energy_kwh"

    def __init__(self) -> None:
        self._before: float | str = "the meter was not started"
        self._spent: float | str = "the meter was not stopped"

    def start(self) -> None:
        self._before = self._millijoules()

    def stop(self) -> None:
        after = self._millijoules()
        if isinstance(self._before, str) or isinstance(after, str):
            self._spent = str(self._before if isinstance(self._before, str) else after)
        else:
            self._spent = (after - self._before) / 1e3 / JOULES_PER_KWH

    def read(self) -> float | str:
        return self._spent

    def _millijoules(self) -> float | str:
        try:
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = torch.cuda.get_device_properties(0).uuid
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        except ImportError:
            return "needs nvidia-ml-py: pip install nvidia-ml-py"
        except Exception as error:  # NVML has one error class a cause; each means "no value"
            return f"NVML: {error}"
