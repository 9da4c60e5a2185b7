"""A process that is not rank 0: it trains and tests with the others, and writes only its log."""

from __future__ import annotations

import contextlib
import traceback

from quintain.contracts import RankPlacement
from quintain.errors import ExitCode, Interrupted
from quintain.plan.cell import Cell
from quintain.run.distributed.spawn import count_processes, read_placement
from quintain.run.measure.allocator import keep_freed_memory
from quintain.run.session import build_hardware, run_worker_rank


def find_placement(cell: Cell, rank: int, rank0_address: str) -> RankPlacement | None:
    """Return the placement of a process that is not rank 0; None for rank 0.

    Args:
        cell: the cell of the run.
        rank: `--rank` of the command line; 0 where srun or torchrun started this process.
        rank0_address: host:port of rank 0; not used where srun or torchrun started this process.
    """
    if rank:
        address, _, port = rank0_address.rpartition(":")
        world_size = count_processes(build_hardware(cell))
        return RankPlacement(
            rank=rank, local_rank=rank, world_size=world_size, address=address, port=int(port)
        )
    with contextlib.suppress(Exception):  # rank 0 meets the same error and records it
        if not cell.baseline:
            placement = read_placement(build_hardware(cell))
            return placement if placement and placement.rank else None
    return None


def run_rank(cell: Cell, placement: RankPlacement) -> ExitCode:
    """Run this rank and return its exit code; the reason of a failure is sent to rank 0."""
    keep_freed_memory()
    try:
        run_worker_rank(cell, placement)
    except Interrupted:
        return ExitCode.PREEMPTED
    except Exception as error:
        traceback.print_exception(error)
        return ExitCode.FAILED
    return ExitCode.OK
