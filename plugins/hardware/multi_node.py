"""Several machines, whose processes Slurm's srun or torchrun starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from quintain.contracts import RankPlacement
from quintain.multi_process import MultiProcessHardware, read_rank_placement


class MultiNode(MultiProcessHardware):
    """`nodes` machines with `devices` ranks each (DDP over NCCL, or gloo on CPUs).

    Every process runs the same command, for example
    `srun --nodes=2 --ntasks-per-node=4 python -m quintain.run cell.json --store results`;
    rank 0 writes the record. Arguments as in `MultiProcessHardware`.
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
        super().__init__(
            accelerator,
            "ddp",
            devices=devices,
            threads=threads,
            precision=precision,
            timeout=timeout,
            nodes=nodes,
        )

    def missing(self, environment: Mapping[str, str] = os.environ) -> str | None:
        """Return the wrong number of processes, or the GPUs that this machine lacks."""
        expected = self._nodes * self._devices
        placement = read_rank_placement(environment)
        if placement is None:
            return (
                f"needs {expected} processes started by srun or torchrun; the environment has"
                " neither SLURM_PROCID nor RANK"
            )
        if placement.world_size != expected:
            return (
                f"needs {self._nodes} nodes × {self._devices} ranks = {expected} processes;"
                f" {placement.world_size} were started"
            )
        return super().missing()

    def place(self, environment: Mapping[str, str] = os.environ) -> RankPlacement:
        """Return the placement of this process.

        Raises:
            ValueError: srun or torchrun did not start the process, or the number of processes is
                not nodes · devices.
        """
        placement = read_rank_placement(environment)
        if placement is None or placement.world_size != self._nodes * self._devices:
            raise ValueError(f"hardware=multi_node {self.missing(environment)}")
        return placement

    def trainer_arguments(self) -> dict[str, Any]:
        """Return the arguments of `nodes` · `devices` ranks."""
        return super().trainer_arguments() | {"num_nodes": self._nodes, "strategy": "ddp"}
