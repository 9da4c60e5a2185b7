"""Numbers and names as a terminal shows them."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

ABSENT = "–"
ARROW = {"max": "↑", "min": "↓"}
_PIPED_WIDTH = 10_000  # columns; a pipe has no edge to fold at


def console(file: TextIO | None = None) -> Console:
    """A console that folds at the terminal's edge, and nowhere when piped.

    COLUMNS, if set, decides in both cases.
    """
    target = file or sys.stdout
    if hasattr(target, "reconfigure"):
        target.reconfigure(errors="replace")  # "±" must not end a report on an ASCII terminal
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdigit() and int(columns) else None
    if width is None and not target.isatty():
        width = _PIPED_WIDTH
    return Console(file=target, width=width, highlight=False)


def grid() -> Table:
    """An empty table without a frame, narrow enough for 80 columns."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))


def plain(value: str, style: str = "") -> Text:
    """Text shown as it is: no markup is read, no control character reaches the terminal."""
    shown = "".join(c if c.isprintable() or c == "\n" else "�" for c in value)
    return Text(shown, style=style)


def decimals(values: Iterable[float | None]) -> int:
    """Places after the point that give the largest value four significant digits."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if largest == 0:
        return 3
    return min(max(3 - math.floor(math.log10(largest)), 0), 9)


def number(value: float | None, places: int) -> str:
    """A value with a fixed number of places, or a dash."""
    return ABSENT if value is None else f"{value:.{places}f}"


def p_value(p: float) -> str:
    """0.41, 0.003, < 0.001: as papers write it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def count(value: float | None) -> str:
    """49800 → 49.8k: three or four significant digits and a letter."""
    if value is None:
        return ABSENT
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


def seconds(value: float | None) -> str:
    """Seconds with as many places as a reader needs: 0.42, 12.5, 3600."""
    if value is None:
        return ABSENT
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def first_line(value: str) -> str:
    """The first line that says something, or nothing."""
    return next((line.strip() for line in value.splitlines() if line.strip()), "")
