"""Renders the leaderboard of a store in one of the formats."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from quintain.errors import StoreError
from quintain.records.store import Store
from quintain.report.current_records import load_current_records
from quintain.report.formats.json_csv import to_csv, to_json
from quintain.report.formats.latex import to_latex
from quintain.report.formats.markdown import to_markdown
from quintain.report.leaderboard import Leaderboard, build_leaderboard
from quintain.report.page.build import build_page
from quintain.report.terminal.table import print_leaderboard

FORMATS = ("table", "md", "latex", "csv", "json", "html")
SUFFIXES = {".md": "md", ".tex": "latex", ".csv": "csv", ".json": "json", ".html": "html"}
SUFFIXES |= {"": "table", ".txt": "table"}
_FILE_WIDTH = 10_000  # columns; lines are not folded

_RENDERERS: dict[str, Callable[[Leaderboard], str]] = {
    "md": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}


def render_leaderboard(store: Store, format: str) -> str:
    """Return the leaderboard of a store as text in one of `FORMATS`."""
    if format == "html":
        return build_page(store)
    current = load_current_records(store)
    if format != "table":
        return _RENDERERS[format](build_leaderboard(*current))
    out = io.StringIO()
    console = Console(file=out, width=_FILE_WIDTH, highlight=False)
    print_leaderboard(current.records, console, num_superseded=current.num_superseded)
    return out.getvalue()


def choose_format(format: str | None, output: Path | None) -> str:
    """Return the format, by default that of the file's suffix, or `table` without a file.

    Raises:
        StoreError: the suffix is unknown.
    """
    suffix = output.suffix.lower() if output else ""
    if format is None and suffix not in SUFFIXES:
        raise StoreError(
            f"{output}: the suffix {suffix} is unknown; expected"
            f" {', '.join(s for s in SUFFIXES if s)}, or --format {'|'.join(FORMATS)}"
        )
    return format or SUFFIXES[suffix]
