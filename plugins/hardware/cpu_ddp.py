"""Several processes on the CPU, each with its share of every batch (DDP over gloo)."""

from __future__ import annotations

from typing import Literal

from quintain.multi_process import MultiProcessHardware


class CpuDdp(MultiProcessHardware):
    """The CPU of this machine, shared by several ranks; arguments as in `MultiProcessHardware`.

    If devices · threads is above the number of cores, ranks compete for cores and slow down.
    """

    def __init__(
        self,
        *,
        devices: int = 2,
        threads: int = 1,
        precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
        timeout: float = 600.0,
    ) -> None:
        super().__init__(
            "cpu", "ddp", devices=devices, threads=threads, precision=precision, timeout=timeout
        )
