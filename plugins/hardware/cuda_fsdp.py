"""Several NVIDIA GPUs of one machine that share one model between them (FSDP2 over NCCL)."""

from __future__ import annotations

from typing import Any, Literal

from quintain.contracts import Meter
from quintain.kit.cluster import check_ranks
from quintain.kit.devices import missing_gpus
from quintain.kit.nvml import cuda_meters


class CudaFsdp:
    """Each GPU holds its part of the weights, the gradients and the optimizer's state.

    For a validation or the test every GPU has the whole weights once.

    Args:
        devices: GPUs, the first of those that are visible (`CUDA_VISIBLE_DEVICES` chooses).
        threads: of the CPU for each rank.
        precision: as in `pytorch_lightning.Trainer`; float16 would need its loss scaled.
        timeout: seconds that a rank waits for another before the run fails.
    """

    def __init__(
        self,
        *,
        devices: int = 2,
        threads: int = 1,
        precision: Literal["32-true", "bf16-mixed"] = "32-true",
        timeout: float = 600.0,
    ) -> None:
        check_ranks(devices=devices, threads=threads, timeout=timeout)
        self._devices, self._threads, self._precision = devices, threads, precision
        self.timeout = timeout

    def missing(self) -> str | None:
        """Asks the driver, not torch, so that planning stays light."""
        return missing_gpus(self._devices)

    def trainer_arguments(self) -> dict[str, Any]:
        """`devices` ranks; Quintain makes the strategy that "fsdp" names."""
        plain = {"accelerator": "cuda", "devices": self._devices, "precision": self._precision}
        return plain | ({"strategy": "fsdp"} if self._devices > 1 else {})

    def threads(self) -> int:
        return self._threads

    def meters(self) -> list[Meter]:
        return cuda_meters()

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize()
