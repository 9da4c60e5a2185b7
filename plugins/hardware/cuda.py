"""One NVIDIA GPU."""

from __future__ import annotations

from typing import Any, Literal

from quintain.contracts import Meter
from quintain.meters.cuda import cuda_meters
from quintain.meters.cuda_driver import missing_gpus


class Cuda:
    """The first visible NVIDIA GPU (`CUDA_VISIBLE_DEVICES` selects).

    Args:
        precision: as in `pytorch_lightning.Trainer`; float16 is missing, as it needs loss scaling.
    """

    def __init__(self, *, precision: Literal["32-true", "bf16-mixed"] = "32-true") -> None:
        self._precision = precision

    def missing(self) -> str | None:
        """Return the GPU that this machine lacks, which the driver reports without torch."""
        return missing_gpus(1)

    def trainer_arguments(self) -> dict[str, Any]:
        return {"accelerator": "cuda", "devices": 1, "precision": self._precision}

    def threads(self) -> int:
        return 1

    def meters(self) -> list[Meter]:
        return cuda_meters()

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize()
