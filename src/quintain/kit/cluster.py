"""Where one of several processes of a run stands among the others; read from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PORTS = range(15_000, 35_000)  # where two jobs of one Slurm meet, by the job's number


@dataclass(frozen=True, kw_only=True)
class Place:
    """One process of a run.

    Attributes:
        rank: among all, from 0.
        local_rank: among those of its machine.
        world: number of all.
        address: of the machine on which rank 0 listens.
        port: on which it listens; 0 where it may choose.
    """

    rank: int
    local_rank: int
    world: int
    address: str
    port: int


def place_of(environment: Mapping[str, str]) -> Place | None:
    """As torchrun (RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) or Slurm's srun
    (SLURM_PROCID, SLURM_LOCALID, SLURM_NTASKS, SLURM_NODELIST, SLURM_JOB_ID) tell it; None where
    neither does.

    Raises:
        ValueError: a variable is there and is no number.
    """
    get = environment.get
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return Place(
            rank=_number(environment, "RANK"),
            local_rank=_number(environment, "LOCAL_RANK", get("RANK", "0")),
            world=_number(environment, "WORLD_SIZE"),
            address=get("MASTER_ADDR", "127.0.0.1"),
            port=_number(environment, "MASTER_PORT", "29500"),
        )
    if "SLURM_PROCID" in environment and "SLURM_NTASKS" in environment:
        job = _number(environment, "SLURM_JOB_ID", "0")
        nodes = get("SLURM_STEP_NODELIST") or get("SLURM_NODELIST") or "127.0.0.1"
        return Place(
            rank=_number(environment, "SLURM_PROCID"),
            local_rank=_number(environment, "SLURM_LOCALID", "0"),
            world=_number(environment, "SLURM_NTASKS"),
            address=get("MASTER_ADDR") or first_node(nodes),
            port=_number(environment, "MASTER_PORT", str(PORTS[job % len(PORTS)])),
        )
    return None


def first_node(nodes: str) -> str:
    """The first name of a Slurm list of hosts: `gpu[03-05,9],login` → `gpu03`."""
    head, bracket, rest = nodes.partition("[")
    if not bracket or "," in head:
        return head.partition(",")[0]
    inner, _, behind = rest.partition("]")
    first = inner.replace(",", "-").partition("-")[0]
    return head + first + behind.partition(",")[0]


def _number(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name) or default
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"the environment's {name} must be a whole number, came {text!r}"
        ) from None


def check_ranks(*, devices: int, threads: int, timeout: float, nodes: int = 1) -> None:
    """Raise ValueError with everything that is wrong with these settings of a hardware plugin."""
    counts = {"devices": devices, "threads": threads, "nodes": nodes}
    wrong = [
        f"{name} must be at least 1, came {value}" for name, value in counts.items() if value < 1
    ]
    wrong += [f"timeout must be above 0, came {timeout}"] if not timeout > 0 else []
    if wrong:
        raise ValueError("; ".join(wrong))
