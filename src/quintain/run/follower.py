"""A rank that is not 0: it takes its part in a run and writes nothing but its log."""

from __future__ import annotations

import contextlib
import traceback

from quintain.compose.cells import Cell
from quintain.compose.providers import import_local, use_folder
from quintain.kit.cluster import Place

OK, FAILED = 0, 1


def place_in_run(cell: Cell, rank: int, meet: str) -> Place | None:
    """Where a process stands that only follows; None for rank 0, which writes the record.

    Args:
        cell: what is run.
        rank: as rank 0 has said it; 0 where this process was started by somebody else.
        meet: host:port of rank 0.
    """
    if rank == 0:
        with contextlib.suppress(Exception):  # what is wrong with a cell, its record will say
            return _place_from_outside(cell)
        return None
    _import_plugins(cell)
    from quintain.run.crew import processes
    from quintain.run.execute import hardware_of

    address, _, port = meet.rpartition(":")
    world = processes(hardware_of(cell))
    return Place(rank=rank, local_rank=rank, world=world, address=address, port=int(port))


def _place_from_outside(cell: Cell) -> Place | None:
    """Of a process that srun or torchrun has started."""
    _import_plugins(cell)
    from quintain.run.execute import hardware_of

    find = getattr(hardware_of(cell), "place", None)
    place: Place | None = find() if find and not cell.reference else None
    return place if place and place.rank else None


def _import_plugins(cell: Cell) -> None:
    for folder in cell.plugins:
        use_folder(folder)
    import_local()


def follow_rank(cell: Cell, place: Place) -> int:
    """Train and test with the others; 1 where something went wrong, which rank 0 has been told, 75
    where rank 0 was asked to leave.
    """
    from quintain.run.allocator import keep_freed_memory
    from quintain.run.checkpoint import AGAIN, Interrupted
    from quintain.run.execute import follow

    keep_freed_memory()
    try:
        follow(cell, place)
    except Interrupted:
        return AGAIN
    except Exception as error:
        traceback.print_exception(error)
        return FAILED
    return OK
