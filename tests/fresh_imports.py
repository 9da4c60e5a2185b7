"""What a run in a fork of the warm server still has to import and look up; asked by test_warm."""

from __future__ import annotations

import gc
import sys
from importlib import metadata
from multiprocessing.connection import Connection


def run_and_tell(cell_json: str, folder: str, output: Connection, answer: Connection) -> None:
    """Run a cell as a sweep's worker does; sends what was imported, and read of packages, for it.

    Also how many objects the server has put aside for the garbage collector.
    """
    before, asked = set(sys.modules), _listened()
    from quintain.launch.worker import work

    work(cell_json, folder, f"{folder}/log", output, answer, None, 0.0)
    imported = sorted(set(sys.modules) - before)
    answer.send(("found", imported, asked, gc.get_freeze_count()))


def _listened() -> list[str]:
    """The questions to `importlib.metadata` from now on; each reads files of packages."""
    asked: list[str] = []
    ask = metadata.Distribution.discover.__func__  # type: ignore[attr-defined]

    def discover(cls, **query):
        asked.append(str(query))
        return ask(cls, **query)

    metadata.Distribution.discover = classmethod(discover)  # type: ignore[assignment]
    return asked
