"""The base class of hardware plugins whose runs have several processes.

torch is imported only when a run needs it, because planning a sweep builds hardware.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from quintain.contracts import Meter, RankPlacement
from quintain.meters.cuda import cuda_meters
from quintain.meters.cuda_driver import missing_gpus
from quintain.meters.host import cpu_meters

SLURM_PORTS = range(15_000, 35_000)  # the job ID of a Slurm job selects the port of its rank 0


class MultiProcessHardware:
    """One CPU or GPU device for each rank; `timeout` as in `OptionalHardwareAttributes`.

    Args:
        accelerator: the device of each rank.
        strategy: "ddp" if every rank holds the whole model, "fsdp" if the model is sharded.
        devices: number of ranks on each machine.
        threads: CPU threads of each rank.
        precision: as in `pytorch_lightning.Trainer`.
        timeout: seconds that a rank waits for another before the run fails.
        nodes: number of machines.

    Raises:
        ValueError: all settings that are out of range, in one message.
    """

    def __init__(
        self,
        accelerator: Literal["cpu", "cuda"],
        strategy: Literal["ddp", "fsdp"],
        *,
        devices: int,
        threads: int,
        precision: str,
        timeout: float,
        nodes: int = 1,
    ) -> None:
        counts = {"devices": devices, "threads": threads, "nodes": nodes}
        problems = [f"{k} must be at least 1, got {n}" for k, n in counts.items() if n < 1]
        problems += [f"timeout must be above 0, got {timeout}"] if not timeout > 0 else []
        if problems:
            raise ValueError("; ".join(problems))
        self._accelerator, self._strategy, self._precision = accelerator, strategy, precision
        self._devices, self._threads, self._nodes = devices, threads, nodes
        self.timeout = timeout

    def missing(self) -> str | None:
        """Return the GPUs that this machine lacks, which the driver reports without torch."""
        return missing_gpus(self._devices) if self._accelerator == "cuda" else None

    def trainer_arguments(self) -> dict[str, Any]:
        """Return arguments of `pytorch_lightning.Trainer`; `strategy` only for several devices."""
        single: dict[str, Any] = {
            "accelerator": self._accelerator,
            "devices": self._devices,
            "precision": self._precision,
        }
        return single | ({"strategy": self._strategy} if self._devices * self._nodes > 1 else {})

    def threads(self) -> int:
        return self._threads

    def meters(self) -> list[Meter]:
        return cuda_meters() if self._accelerator == "cuda" else cpu_meters()

    def synchronize(self) -> None:
        if self._accelerator == "cuda":  # CPU operations have ended when they return
            import torch

            torch.cuda.synchronize()


def read_rank_placement(environment: Mapping[str, str]) -> RankPlacement | None:
    """Return the placement of a process that torchrun or Slurm's srun started, else None.

    torchrun sets RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, srun sets SLURM_PROCID,
    SLURM_LOCALID, SLURM_NTASKS, SLURM_NODELIST and SLURM_JOB_ID. Lightning's `SLURMEnvironment`
    cannot be used: it imports torch, changes the environment, and refuses `srun --ntasks` alone.

    Raises:
        ValueError: a variable is set and is not a whole number.
    """
    get = environment.get
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return RankPlacement(
            rank=_read_int(environment, "RANK"),
            local_rank=_read_int(environment, "LOCAL_RANK", get("RANK", "0")),
            world_size=_read_int(environment, "WORLD_SIZE"),
            address=get("MASTER_ADDR", "127.0.0.1"),
            port=_read_int(environment, "MASTER_PORT", "29500"),
        )
    if "SLURM_PROCID" in environment and "SLURM_NTASKS" in environment:
        job_id = _read_int(environment, "SLURM_JOB_ID", "0")
        nodes = get("SLURM_STEP_NODELIST") or get("SLURM_NODELIST") or "127.0.0.1"
        port = SLURM_PORTS[job_id % len(SLURM_PORTS)]
        return RankPlacement(
            rank=_read_int(environment, "SLURM_PROCID"),
            local_rank=_read_int(environment, "SLURM_LOCALID", "0"),
            world_size=_read_int(environment, "SLURM_NTASKS"),
            address=get("MASTER_ADDR") or first_slurm_node(nodes),
            port=_read_int(environment, "MASTER_PORT", str(port)),
        )
    return None


def first_slurm_node(nodes: str) -> str:
    """Return the first host of a Slurm node list: `gpu[03-05,9],login` → `gpu03`."""
    head, bracket, rest = nodes.partition("[")
    if not bracket or "," in head:
        return head.partition(",")[0]
    numbers, _, suffix = rest.partition("]")
    return head + numbers.replace(",", "-").partition("-")[0] + suffix.partition(",")[0]


def _read_int(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name) or default
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"the environment variable {name} must be a whole number, got {text!r}"
        ) from None
