"""Rank 0 starts the other ranks of a run.

Each is `python -m quintain.run CELLFILE --rank R --meet HOST:PORT`: the same frozen cell, no Hydra,
and in the process group of rank 0, so that whoever ends the run ends them all. A rank that is not
0 never starts another. The ranks meet at a port that the system has chosen for rank 0, handed over
on the command line; the environment of the process is left as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from quintain.compose.cells import Cell
from quintain.contracts import Hardware
from quintain.kit.cluster import Place
from quintain.run.log import Log
from quintain.run.ranks import Ranks
from quintain.run.watch import Crew, Member, told

HERE = "127.0.0.1"
TIMEOUT = 600.0  # seconds that a rank waits for another, unless the hardware says otherwise


def processes(hardware: Hardware) -> int:
    """How many processes a run on this hardware has."""
    arguments = hardware.trainer_arguments()
    return int(arguments["devices"]) * int(arguments.get("num_nodes", 1))


@contextmanager
def assembled(cell: Cell, hardware: Hardware, place: Place | None = None) -> Iterator[Ranks]:
    """All ranks of a run, seen from this process; `place` says where it stands among them.

    Without a place this process is rank 0 and starts the others, unless the hardware says that
    something else has (`hardware.place()`: srun, torchrun). A run of one process is alone.

    Raises:
        RankFailed: another rank came to an end in the middle.
        ValueError: the batch has fewer samples than there are ranks.
    """
    world = 1 if cell.reference else processes(hardware)
    if world == 1:
        yield Ranks()
        return
    _check_cell(cell, world)
    place = place or getattr(hardware, "place", lambda: None)()
    limit = timedelta(seconds=getattr(hardware, "timeout", TIMEOUT))
    if place is not None:
        store = _store(place, limit)
        with told(store, place, Crew(world)), _together(place, store, limit) as ranks:
            yield ranks
        return
    store = _store(Place(rank=0, local_rank=0, world=world, address=HERE, port=0), limit)
    place = Place(rank=0, local_rank=0, world=world, address=HERE, port=store.port)
    with tempfile.TemporaryDirectory(prefix="quintain-ranks-") as folder:
        crew = Crew(world)
        with told(store, place, crew), _together(place, store, limit, crew) as ranks:
            for rank in range(1, world):
                crew.add(_start(cell, store.port, rank, Path(folder)))
            yield ranks


@contextmanager
def _together(
    place: Place, store: TCPStore, limit: timedelta, crew: Crew | None = None
) -> Iterator[Ranks]:
    watch = (crew.check, crew.dismiss) if crew else ()
    ranks = Ranks(place, store, limit, *watch)
    try:
        yield ranks
    finally:
        ranks.leave()


def _store(place: Place, limit: timedelta) -> TCPStore:
    return TCPStore(
        place.address,
        place.port,
        place.world,
        is_master=place.rank == 0,
        timeout=limit,
        wait_for_workers=False,
    )


def _start(cell: Cell, port: int, rank: int, folder: Path) -> Member:
    """Another rank; it imports what this process imports."""
    file, log = folder / "cell.json", folder / f"rank{rank}.log"
    if not file.exists():
        file.write_text(cell.to_json())
    words = [sys.executable, "-m", "quintain.run.follow", sys.executable]
    words += ["-m", "quintain.run", str(file), "--rank", str(rank), "--meet", f"{HERE}:{port}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    environment["QUINTAIN_PARENT"] = str(os.getpid())
    said = Log(log)
    out = said.writer.fileno()
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
    )
    said.started()
    return Member(rank, process, log, said)


def _check_cell(cell: Cell, world: int) -> None:
    if cell.trial is not None:
        raise ValueError("a search's trials run on one process: its pruning is not shared by ranks")
    size = cell.config["budget"].get("batch_size", world)
    if size < world:
        raise ValueError(
            f"a batch of {size} samples cannot be shared by {world} ranks: give a budget.batch_size"
            f" of {world} or more, or fewer hardware.devices"
        )
