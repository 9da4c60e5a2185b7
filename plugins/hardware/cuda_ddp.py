"""Several NVIDIA GPUs of one machine, each with its share of every batch (DDP over NCCL)."""

from __future__ import annotations

from typing import Literal

from quintain.multi_process import MultiProcessHardware


class CudaDdp(MultiProcessHardware):
    """Each GPU holds the whole model.

    Arguments as in `MultiProcessHardware`; a run uses the first `devices` visible GPUs, which
    `CUDA_VISIBLE_DEVICES` selects. float16 is missing, because it needs loss scaling.
    """

    def __init__(
        self,
        *,
        devices: int = 2,
        threads: int = 1,
        precision: Literal["32-true", "bf16-mixed"] = "32-true",
        timeout: float = 600.0,
    ) -> None:
        super().__init__(
            "cuda", "ddp", devices=devices, threads=threads, precision=precision, timeout=timeout
        )
