"""Runs a cell and always ends in a record: a failure is a result too."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from quintain.compose.cells import Cell
from quintain.compose.providers import import_local, use_folder
from quintain.contracts import Skip
from quintain.records.schema import Record, utc_now
from quintain.run.identity import failed, skipped

LOG_TAIL = 4000  # characters


def attempt(
    cell: Cell,
    progress: Callable[[int, int], None] = lambda step, steps: None,
    log: Path | None = None,
) -> Record:
    """Execute a cell; what is raised becomes a failed (or skipped) record."""
    started = utc_now()
    for folder in cell.plugins:
        use_folder(folder)
    import_local()
    try:
        from quintain.run.execute import execute

        return execute(cell, progress)
    except Skip as reason:
        return skipped(cell, str(reason))
    except (Exception, KeyboardInterrupt) as error:
        from quintain.run.failure import failure

        traceback.print_exception(error)
        return failed(cell, failure(error, tail(log)), started)


def tail(log: Path | None) -> str:
    """The last lines of a log, "" where there is none."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL))
        return file.read().decode(errors="replace")
