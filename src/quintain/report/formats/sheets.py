"""The tables of a leaderboard as plain words, for formats that set tables by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quintain.report.leaderboard import Board
from quintain.report.rows import Row, by, column
from quintain.report.table import SCORE, footer, lost, title, worded
from quintain.report.text import ARROW

WORDS = ("model", "hardware")
"""Columns that are set to the left; numbers go to the right."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One comparison: `lines` has the words of each row in the order of `heads`."""

    title: str
    heads: list[str]
    left: list[bool]
    lines: list[list[str]]
    best: list[bool]
    footer: list[str]


def sheets(board: Board) -> list[Sheet]:
    """One a comparison, in the order and with the numbers of the terminal."""
    return [_sheet(rows) for rows in by(board.rows, column).values()]


def _sheet(rows: Sequence[Row]) -> Sheet:
    lines = worded(rows)
    names = list(lines[0])
    heads = {SCORE: f"{rows[0].metric} {ARROW[rows[0].direction]}"}
    return Sheet(
        title=title(rows).plain,
        heads=[heads.get(name, name) for name in names],
        left=[name in WORDS for name in names],
        lines=[[line[name].plain for name in names] for line in lines],
        best=[row.rank == 1 for row in rows],
        footer=list(footer(rows)),
    )


def remarks(board: Board) -> list[str]:
    """What stands below all tables: cells without a score, and notes."""
    found = [f"{what}: {words}" for what, words in lost(board)]
    return board.sentences + found + [f"note: {note}" for note in board.notes]
