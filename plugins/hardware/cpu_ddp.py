"""Several processes on the CPU, each with its share of every batch (DDP over gloo)."""

from __future__ import annotations

from typing import Any, Literal

from quintain.contracts import Meter
from quintain.kit.cluster import check_ranks
from quintain.kit.meters import cpu_meters


class CpuDdp:
    """The CPU of this machine, by several ranks.

    Args:
        devices: ranks.
        threads: of each rank; devices · threads above the number of cores makes ranks wait.
        precision: as in `pytorch_lightning.Trainer`.
        timeout: seconds that a rank waits for another before the run fails.
    """

    def __init__(
        self,
        *,
        devices: int = 2,
        threads: int = 1,
        precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
        timeout: float = 600.0,
    ) -> None:
        check_ranks(devices=devices, threads=threads, timeout=timeout)
        self._devices, self._threads, self._precision = devices, threads, precision
        self.timeout = timeout

    def missing(self) -> str | None:
        return None

    def trainer_arguments(self) -> dict[str, Any]:
        """`devices` ranks; Quintain makes the strategy that "ddp" names."""
        plain = {"accelerator": "cpu", "devices": self._devices, "precision": self._precision}
        return plain | ({"strategy": "ddp"} if self._devices > 1 else {})

    def threads(self) -> int:
        return self._threads

    def meters(self) -> list[Meter]:
        return cpu_meters()

    def synchronize(self) -> None:
        """Nothing to wait for: operations on the CPU have ended when they return."""
