"""Several machines, their processes started by Slurm's srun or by torchrun."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from quintain.contracts import Meter
from quintain.kit.cluster import Place, check_ranks, place_of
from quintain.kit.devices import missing_gpus
from quintain.kit.meters import cpu_meters
from quintain.kit.nvml import cuda_meters


class MultiNode:
    """`nodes` machines with `devices` ranks each (DDP over NCCL, or gloo on CPUs).

    Every process runs the same command, for example
    `srun --nodes=2 --ntasks-per-node=4 python -m quintain.run cell.json --store results`;
    rank 0 writes the record.

    Args:
        nodes: machines.
        devices: ranks on each.
        accelerator: what a rank computes on.
        threads: of the CPU for each rank.
        precision: as in `pytorch_lightning.Trainer`.
        timeout: seconds that a rank waits for another before the run fails.
    """

    def __init__(
        self,
        *,
        nodes: int = 2,
        devices: int = 1,
        accelerator: Literal["cuda", "cpu"] = "cuda",
        threads: int = 1,
        precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
        timeout: float = 600.0,
    ) -> None:
        check_ranks(devices=devices, threads=threads, timeout=timeout, nodes=nodes)
        self._nodes, self._devices, self._accelerator = nodes, devices, accelerator
        self._threads, self._precision = threads, precision
        self.timeout = timeout

    def missing(self, environment: Mapping[str, str] = os.environ) -> str | None:
        """The processes, or this machine's part of the GPUs."""
        asked = self._nodes * self._devices
        place = place_of(environment)
        if place is None:
            return (
                f"needs {asked} processes started by srun or torchrun; the environment has neither"
                " SLURM_PROCID nor RANK"
            )
        if place.world != asked:
            return (
                f"needs {self._nodes} nodes × {self._devices} ranks = {asked} processes;"
                f" {place.world} were started"
            )
        return missing_gpus(self._devices) if self._accelerator == "cuda" else None

    def place(self, environment: Mapping[str, str] = os.environ) -> Place:
        """Where this process stands.

        Raises:
            ValueError: nothing has started the processes, or too many or too few.
        """
        place = place_of(environment)
        if place is None or place.world != self._nodes * self._devices:
            raise ValueError(f"hardware=multi_node {self.missing(environment)}")
        return place

    def trainer_arguments(self) -> dict[str, Any]:
        """`nodes` · `devices` ranks; Quintain makes the strategy that "ddp" names."""
        return {
            "accelerator": self._accelerator,
            "devices": self._devices,
            "num_nodes": self._nodes,
            "precision": self._precision,
            "strategy": "ddp",
        }

    def threads(self) -> int:
        return self._threads

    def meters(self) -> list[Meter]:
        return cuda_meters() if self._accelerator == "cuda" else cpu_meters()

    def synchronize(self) -> None:
        if self._accelerator == "cuda":
            import torch

            torch.cuda.synchronize()
