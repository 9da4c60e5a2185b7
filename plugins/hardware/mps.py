"""The GPU of an Apple computer."""

from __future__ import annotations

import platform
from typing import Any, Literal

from quintain.contracts import Meter
from quintain.meters.host import AbsentMeter, HostMemory


class Mps:
    """Metal Performance Shaders on Apple silicon.

    Args:
        precision: as in `pytorch_lightning.Trainer`; float16 is missing, as it needs loss scaling.
    """

    def __init__(self, *, precision: Literal["32-true", "bf16-mixed"] = "32-true") -> None:
        self._precision = precision

    def missing(self) -> str | None:
        if platform.system() == "Darwin" and platform.machine() == "arm64":
            return None
        return f"needs Apple silicon; this is {platform.system()} on {platform.machine()}"

    def trainer_arguments(self) -> dict[str, Any]:
        return {"accelerator": "mps", "devices": 1, "precision": self._precision}

    def threads(self) -> int:
        return 1

    def meters(self) -> list[Meter]:
        energy = AbsentMeter("energy_kwh", "macOS reports energy only to the root user")
        return [HostMemory(), energy, _DriverMemory()]

    def synchronize(self) -> None:
        import torch

        torch.mps.synchronize()


class _DriverMemory:
    """Memory of the process on the GPU at the end of training, MiB; Metal records no peak."""

    name = "device_peak_mb"

    def __init__(self) -> None:
        self._bytes = 0

    def start(self) -> None: ...

    def stop(self) -> None:
        import torch

        self._bytes = torch.mps.driver_allocated_memory()

    def read(self) -> float:
        return self._bytes / 2**20
