"""Fits columns into a terminal: drops whole ones or starts another table, never cuts a number."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

NAME = 32  # columns that a name is given before it is folded
WORD = 24  # columns that a word of a heading is given
GAP = 2  # between two columns of `text.grid`


def widest(texts: Sequence[str], fold: int | None = None) -> int:
    """Columns that the longest line needs; with `fold` the longest word does, `fold` at most."""
    if fold is None:
        return max((cell_len(line) for text in texts for line in text.split("\n")), default=1)
    return min(max((cell_len(word) for text in texts for word in text.split()), default=1), fold)


def dropped(widths: dict[str, int], droppable: Sequence[str], width: int) -> list[str]:
    """The columns to leave out, the first of `droppable` first, until the others fit."""
    left, gone = dict(widths), []
    for name in droppable:
        if total([*left.values()]) <= width:
            break
        if left.pop(name, None) is None:
            continue
        gone.append(name)
    return gone


def bands(first: int, widths: Sequence[int], width: int) -> list[range]:
    """Columns beside a first one, in as few tables as it takes; one column is never too wide."""
    found, begin = [], 0
    for end in range(1, len(widths) + 1):
        if end > begin + 1 and total([first, *widths[begin:end]]) > width:
            found.append(range(begin, end - 1))
            begin = end - 1
    return [*found, range(begin, len(widths))]


def total(widths: Sequence[int]) -> int:
    """Columns that a table of these columns takes."""
    return sum(widths) + GAP * (len(widths) - 1)
