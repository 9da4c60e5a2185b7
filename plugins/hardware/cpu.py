"""One process on the CPU."""

from __future__ import annotations

from typing import Any, Literal

from quintain.plugin_api import Meter, cpu_meters


class Cpu:
    """The CPU of this machine.

    Args:
        threads: CPU threads of a run; two runs of one thread each are faster than one run of two.
        precision: as in `pytorch_lightning.Trainer`; bf16 is faster only with avx512_bf16 or AMX.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self._threads = threads
        self._precision = precision

    def missing(self) -> str | None:
        return None

    def trainer_arguments(self) -> dict[str, Any]:
        return {"accelerator": "cpu", "devices": 1, "precision": self._precision}

    def threads(self) -> int:
        return self._threads

    def meters(self) -> list[Meter]:
        return cpu_meters()

    def synchronize(self) -> None:
        """Do nothing, because operations on the CPU have ended when they return."""
