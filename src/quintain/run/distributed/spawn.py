"""Starts the other ranks of a run from rank 0, and connects all ranks.

Each other rank is `python -m quintain.run CELLFILE --rank R --rank0-address HOST:PORT`. It gets the
same frozen cell, does not use Hydra, and starts no ranks itself. It is in the process group of
rank 0, so killing the group ends all ranks. The operating system chooses the port. Environment
variables of rank 0 are not changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from quintain.contracts import Hardware, OptionalHardwareAttributes, RankPlacement
from quintain.plan.cell import Cell
from quintain.run.distributed.context import DistContext
from quintain.run.distributed.monitor import RankMonitor, RankProcess, report_failures
from quintain.run.environment import PARENT_VARIABLE
from quintain.run.log import BoundedLog

LOCALHOST = "127.0.0.1"


def count_processes(hardware: Hardware) -> int:
    """Return the number of processes of a run on this hardware."""
    arguments = hardware.trainer_arguments()
    return int(arguments["devices"]) * int(arguments.get("num_nodes", 1))


def read_placement(hardware: Hardware) -> RankPlacement | None:
    """Return the placement of this process if srun or torchrun started it, else None."""
    read = getattr(hardware, "place", None)
    placement: RankPlacement | None = read() if read is not None else None
    return placement


@contextmanager
def join_ranks(
    cell: Cell, hardware: Hardware, placement: RankPlacement | None = None
) -> Iterator[DistContext]:
    """Connect this process with all ranks of a run until the `with` block ends.

    Without a placement this process is rank 0 and starts the other ranks, unless srun or torchrun
    started them. A baseline is computed by one process.

    Raises:
        RankFailed: another rank failed.
        ValueError: the batch has fewer samples than there are ranks, or the cell is a trial.
    """
    world_size = 1 if cell.baseline else count_processes(hardware)
    if world_size == 1:
        yield DistContext()
        return
    _check_cell(cell, world_size)
    placement = placement or read_placement(hardware)
    seconds = getattr(hardware, "timeout", OptionalHardwareAttributes.timeout)
    timeout = timedelta(seconds=seconds)
    monitor = RankMonitor(world_size)
    starts_ranks = placement is None
    placement = placement or RankPlacement(
        rank=0, local_rank=0, world_size=world_size, address=LOCALHOST, port=0
    )
    store = TCPStore(
        placement.address,
        placement.port,
        placement.world_size,
        is_master=placement.rank == 0,
        timeout=timeout,
        wait_for_workers=False,
    )
    placement = replace(placement, port=store.port)
    with (
        tempfile.TemporaryDirectory(prefix="quintain-ranks-") as folder,
        report_failures(store, placement.rank, monitor),
    ):
        dist = DistContext(placement, store, timeout, monitor.check, monitor.stop)
        try:
            if starts_ranks:
                file = Path(folder) / "cell.json"
                file.write_text(cell.to_json())
                for rank in range(1, world_size):
                    monitor.add(_start_rank(file, store.port, rank))
            yield dist
        finally:
            dist.destroy()


def _start_rank(cell_file: Path, port: int, rank: int) -> RankProcess:
    """Start another rank, with the same import path (sys.path) and a log beside the cell file."""
    python, log_file = sys.executable, cell_file.with_name(f"rank{rank}.log")
    # -P: a file of the current folder must not be imported instead of a module of its name.
    command = [python, "-P", "-m", "quintain.run.distributed.pdeathsig"]
    command += [python, "-P", "-m", "quintain.run"]
    command += [str(cell_file), "--rank", str(rank), "--rank0-address", f"{LOCALHOST}:{port}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    environment[PARENT_VARIABLE] = str(os.getpid())
    log = BoundedLog(log_file)
    output = log.writer.fileno()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
    )
    log.writer.close()
    return RankProcess(rank, process, log_file, log)


def _check_cell(cell: Cell, world_size: int) -> None:
    if cell.trial is not None:
        raise ValueError(
            "trials of a search run on one process, because pruning is not synchronised between"
            " ranks: choose hardware with one device"
        )
    size = cell.config["budget"].get("batch_size", world_size)
    if size < world_size:
        raise ValueError(
            f"a batch of {size} samples cannot be shared by {world_size} ranks: set"
            f" budget.batch_size to {world_size} or more, or use fewer hardware.devices"
        )
