"""`python -m quintain.run FILE [--key KEY] [--store FOLDER]`: run one frozen cell, here and now.

With a store, SIGTERM, SIGUSR2 and SIGHUP end the run with exit code 75 and no record: its state is
saved in the store, and the same command resumes it.

FILE is a cell, or a plan that a sweep wrote into its store (plans/*.json); `--key` then selects one
of the plan's cells by the first digits of its key. Both name Python classes and are code: run only
files that you trust.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.errors import ExitCode
from quintain.run.environment import mark_environment, set_run_environment
from quintain.run.preemption_signals import set_signal_handlers

if TYPE_CHECKING:
    from quintain.plan.cell import Cell
    from quintain.records.store import Store


def main() -> int:
    """Run the cell and print its record or write it into a store; return the exit code."""
    arguments = _build_parser().parse_args()
    set_run_environment()  # before torch is imported
    if not arguments.rank:
        mark_environment()
    if arguments.store is None:
        return _run(arguments)
    _exit_on_signals()
    from quintain.errors import StoreError
    from quintain.records.remote.sync import synced_store

    try:
        with synced_store([f"store={arguments.store}"], writes=True, notify=_print) as session:
            arguments.store = session.overrides[0].partition("=")[2]  # a folder, also for a URL
            code = _run(arguments)
    except StoreError as error:
        _print(str(error))
        return ExitCode.USAGE
    return max(code, session.exit_code)


def _exit_on_signals() -> None:
    """Exit at once while there is no state to save; later `FileCheckpointer` handles signals."""
    set_signal_handlers(lambda *_: os._exit(ExitCode.PREEMPTED))


def _print(message: str) -> None:
    print(f"quintain.run: {message}", file=sys.stderr)


def _run(arguments: argparse.Namespace) -> int:
    from quintain.errors import StoreError, UsageError
    from quintain.plan.cell_file import load_cell
    from quintain.records.store import Store
    from quintain.run.runner import run_to_record

    try:
        cell = load_cell(_select_cell(arguments.file, arguments.key))
        if arguments.store is not None:
            Store(arguments.store).check_writable()
    except (OSError, ValueError, TypeError, StoreError, UsageError) as error:
        _print(str(error))
        return ExitCode.USAGE
    from quintain.run.distributed.rank_worker import find_placement, run_rank

    placement = find_placement(cell, arguments.rank, arguments.rank0_address)
    if placement is not None:
        return run_rank(cell, placement)
    if arguments.store is not None:
        return _run_into(Store(arguments.store), cell, arguments.checkpoint_every)
    record = run_to_record(cell)
    print(record.to_json())
    return ExitCode.OK if record.status == "ok" else ExitCode.FAILED


def _run_into(store: Store, cell: Cell, interval: float) -> int:
    """Run a cell and write its record, or save its state if it is preempted."""
    from quintain.errors import Interrupted
    from quintain.run.heartbeat import Heartbeat
    from quintain.run.runner import run_to_record
    from quintain.run.train.checkpoint import FileCheckpointer

    checkpointer = FileCheckpointer(store.checkpoints(cell.key), cell.key, interval)
    try:
        checkpointer.install_signal_handlers()
        with Heartbeat(store.path, cell) as heartbeat:
            samples = store.samples(cell.key)
            record = run_to_record(cell, heartbeat, None, samples, checkpointer)
    except Interrupted:
        _print("interrupted; run the same command again to resume")
        return ExitCode.PREEMPTED
    store.write(record)
    checkpointer.finish(record)
    return ExitCode.OK if record.status == "ok" else ExitCode.FAILED


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m quintain.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="a cell or a plan")
    parser.add_argument("--key", default="", help="first digits of the key of a plan's cell")
    parser.add_argument("--rank", type=int, default=0, help="set by rank 0")
    parser.add_argument("--rank0-address", default="", help="host:port, set by rank 0")
    parser.add_argument("--store", help="write the record there, a folder or URL; do not print it")
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="save the state this often (600); a run that is killed resumes from there",
    )
    return parser


def _select_cell(file: Path, key: str) -> dict[str, Any]:
    """Return the cell in a file, or the only one of a plan's cells whose key begins with `key`."""
    from quintain.plan.plan_file import iterate_cells, load_plan_file

    try:
        cells = [json.loads(file.read_text())]
        if "cells" in cells[0]:
            cells = [cell for cell, _ in iterate_cells(load_plan_file(file))]
        matches: list[dict[str, Any]] = [cell for cell in cells if cell["key"].startswith(key)]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file} is neither a cell nor a plan ({error!r})") from error
    if len(matches) != 1:
        keys = ", ".join(cell["key"][:8] for cell in cells)
        raise ValueError(
            f"{file}: --key {key!r} matches {len(matches)} cells of {keys}; give a key that"
            " matches one"
        )
    return matches[0]


if __name__ == "__main__":
    sys.exit(main())
