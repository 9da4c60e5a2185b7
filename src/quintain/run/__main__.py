"""`python -m quintain.run FILE [--key KEY] [--store FOLDER]`: run one frozen cell, here and now.

With a store, SIGTERM and SIGUSR2 end the run with exit code 75 and no record: its state is kept in
the store, and the same command goes on from there.

FILE is a cell, or a plan as a sweep writes it into its store (plans/*.json); `--key` then says
which of the plan's cells, by the first digits of its key. Both name Python
classes and are code: run only those that you made yourself.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quintain.compose.cells import Cell
    from quintain.records.store import Store

USAGE = 2


def main() -> int:
    """Runs the cell and prints its record, or writes it into a store; 1 where the run failed."""
    arguments = _parser().parse_args()
    if arguments.store is not None:
        _leave_at_once()
    if arguments.store is None:
        return _run(arguments)
    from quintain.records.courier import mirrored
    from quintain.records.store import StoreError

    try:
        with mirrored([f"store={arguments.store}"], writes=True, say=_say) as trip:
            arguments.store = trip.settings[0].partition("=")[2]  # a folder, also for a URL
            code = _run(arguments)
    except StoreError as error:
        _say(str(error))
        return USAGE
    return max(code, trip.code)


def _leave_at_once() -> None:
    """Who is asked to leave before there is a state to keep leaves as ever; see `Keeper.hear`."""
    for name in ("SIGTERM", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: os._exit(75))


def _say(sentence: str) -> None:
    print(f"quintain.run: {sentence}", file=sys.stderr)


def _run(arguments: argparse.Namespace) -> int:
    from quintain.compose.errors import UsageError
    from quintain.compose.thaw import thaw
    from quintain.records.store import Store, StoreError
    from quintain.run.attempt import attempt

    try:
        cell = thaw(_choose(arguments.file, arguments.key))
        if arguments.store is not None:
            Store(arguments.store).check_writable()
    except (OSError, ValueError, TypeError, StoreError, UsageError) as error:
        _say(str(error))
        return USAGE
    from quintain.run.follower import follow_rank, place_in_run

    place = place_in_run(cell, arguments.rank, arguments.meet)
    if place is not None:
        return follow_rank(cell, place)
    if arguments.store is not None:
        return _into(Store(arguments.store), cell, arguments.checkpoint_every)
    record = attempt(cell)
    print(record.to_json())
    return 0 if record.status == "ok" else 1


def _into(store: Store, cell: Cell, every: float) -> int:
    """Run a cell and write its record, or keep its state where it is interrupted."""
    from quintain.run.attempt import attempt
    from quintain.run.checkpoint import AGAIN, Interrupted, Keeper
    from quintain.run.heartbeat import Heartbeat

    keeper = Keeper(store.checkpoints(cell.key), cell.key, every)
    try:
        keeper.hear()
        with Heartbeat(store.path, cell) as beat:
            record = attempt(cell, beat, samples=store.samples(cell.key), keeper=keeper)
    except Interrupted:
        _say("interrupted; the same command goes on")
        return AGAIN
    store.write(record)
    keeper.ended(record)
    return 0 if record.status == "ok" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m quintain.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="a cell or a plan")
    parser.add_argument("--key", default="", help="of the cell in the plan")
    parser.add_argument("--rank", type=int, default=0, help="of this process, in a run of several")
    parser.add_argument("--meet", default="", help="host:port of rank 0, which gives this itself")
    parser.add_argument("--store", help="write the record into this folder or URL, don't print it")
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="keep the state this often (600); a run that is killed goes on from there",
    )
    return parser


def _choose(file: Path, key: str) -> dict[str, Any]:
    """The cell in a file, or the one of a plan's cells whose key begins with `key`."""
    from quintain.compose.planfile import load, plain_cells

    try:
        content = json.loads(file.read_text())
        cells = [c for c, _ in plain_cells(load(file))] if "cells" in content else [content]
        found: list[dict[str, Any]] = [cell for cell in cells if cell["key"].startswith(key)]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file} is neither a cell nor a plan ({error!r})") from error
    if len(found) != 1:
        keys = ", ".join(cell["key"][:8] for cell in cells)
        raise ValueError(f"{file}: --key {key!r} fits {len(found)} cells of {keys}; give one key")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
