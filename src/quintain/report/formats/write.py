"""A leaderboard in the format that was asked for, as one text."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from quintain.records.faults import StoreError
from quintain.records.store import Store
from quintain.report.formats.latex import latex
from quintain.report.formats.markdown import markdown
from quintain.report.formats.values import csv_text, json_text
from quintain.report.leaderboard import Board, leaderboard
from quintain.report.live import Live, live
from quintain.report.page.build import page
from quintain.report.table import print_leaderboard

FORMATS = ("table", "md", "latex", "csv", "json", "html")
SUFFIXES = {".md": "md", ".tex": "latex", ".csv": "csv", ".json": "json", ".html": "html"}
SUFFIXES |= {"": "table", ".txt": "table"}
WIDTH = 10_000  # columns; a file has no edge to fold at

_OF_BOARD: dict[str, Callable[[Board], str]] = {
    "md": markdown,
    "latex": latex,
    "csv": csv_text,
    "json": json_text,
}


def rendered(store: Store, format: str) -> str:
    """The leaderboard of a store as text in one of `FORMATS`."""
    if format == "html":
        return page(store)
    found = live(store)
    return _table(found) if format == "table" else _OF_BOARD[format](leaderboard(*found))


def format_of(asked: str | None, output: Path | None) -> str:
    """What was asked for, else what the file's name says, else a table.

    Raises:
        StoreError: the name ends in something else.
    """
    suffix = output.suffix.lower() if output else ""
    if asked is None and suffix not in SUFFIXES:
        raise StoreError(
            f"{output}: a name that ends in {suffix} says no format; expected"
            f" {', '.join(s for s in SUFFIXES if s)}, or --format {'|'.join(FORMATS)}"
        )
    return asked or SUFFIXES[suffix]


def _table(found: Live) -> str:
    out = io.StringIO()
    to = Console(file=out, width=WIDTH, highlight=False)
    print_leaderboard(found.records, to, older=found.older)
    return out.getvalue()
