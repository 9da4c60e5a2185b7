"""Output on a terminal: safe text, tables, and the columns that fit its width."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 10_000  # characters; lines are not folded if the output is piped
_GAP = 2  # characters between two columns of `make_table`


def make_console(file: TextIO | None = None) -> Console:
    """Return a console that folds lines at the width of the terminal, or of COLUMNS if set."""
    target = file or sys.stdout
    if hasattr(target, "reconfigure"):
        target.reconfigure(errors="replace")  # "±" must not raise on an ASCII terminal
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdigit() and int(columns) else None
    if width is None and not target.isatty():
        width = _PIPE_WIDTH
    return Console(file=target, width=width, highlight=False)


def make_table() -> Table:
    """Return an empty table without a frame and with narrow gaps."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))


def safe_text(value: str, style: str = "") -> Text:
    """Return text that is shown literally; control characters are replaced."""
    shown = "".join(c if c.isprintable() or c == "\n" else "�" for c in value)
    return Text(shown, style=style)


def text_width(texts: Sequence[str], fold: int | None = None) -> int:
    """Return the width of the longest line; with `fold`, of the longest word, at most `fold`."""
    if fold is None:
        return max((cell_len(line) for text in texts for line in text.split("\n")), default=1)
    return min(max((cell_len(word) for text in texts for word in text.split()), default=1), fold)


def table_width(widths: Sequence[int]) -> int:
    """Return the width of a table with columns of these widths."""
    return sum(widths) + _GAP * (len(widths) - 1)


def columns_to_drop(widths: dict[str, int], droppable: Sequence[str], width: int) -> list[str]:
    """Return the columns to drop, in the order of `droppable`, so that the others fit."""
    remaining, dropped = dict(widths), []
    for name in droppable:
        if table_width([*remaining.values()]) <= width:
            break
        if remaining.pop(name, None) is not None:
            dropped.append(name)
    return dropped


def split_columns(first: int, widths: Sequence[int], width: int) -> list[range]:
    """Split columns over several tables, each of which repeats the column of width `first`.

    Every table has at least one further column, even if that does not fit.
    """
    tables, start = [], 0
    for end in range(1, len(widths) + 1):
        if end > start + 1 and table_width([first, *widths[start:end]]) > width:
            tables.append(range(start, end - 1))
            start = end - 1
    return [*tables, range(start, len(widths))]
