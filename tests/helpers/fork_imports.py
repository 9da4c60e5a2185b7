"""Report the imports and metadata queries of a run in a fork of the fork server."""

from __future__ import annotations

import gc
import sys
from importlib import metadata
from multiprocessing.connection import Connection


def run_and_report(
    cell_json: str, folder: str, output_pipe: Connection, message_pipe: Connection
) -> None:
    """Run a cell like a worker of a sweep, then send ("report", imported, queries, frozen).

    These are the imported modules, the queries of package metadata, and the number of objects that
    the garbage collector ignores.
    """
    before, queries = set(sys.modules), _record_metadata_queries()
    from quintain.launch.worker import run_cell

    run_cell(cell_json, folder, f"{folder}/log", output_pipe, message_pipe, None)
    imported = sorted(set(sys.modules) - before)
    message_pipe.send(("report", imported, queries, gc.get_freeze_count()))


def _record_metadata_queries() -> list[str]:
    """Return a list that grows with each query of `importlib.metadata`, which reads files."""
    queries: list[str] = []
    original = metadata.Distribution.discover.__func__  # type: ignore[attr-defined]

    def discover(cls, **query):
        queries.append(str(query))
        return original(cls, **query)

    metadata.Distribution.discover = classmethod(discover)  # type: ignore[assignment]
    return queries
