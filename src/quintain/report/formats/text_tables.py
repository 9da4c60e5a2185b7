"""The tables of a leaderboard as text cells, for Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quintain.report.comparisons import group_by
from quintain.report.formatting import ARROW
from quintain.report.leaderboard import Leaderboard
from quintain.report.rows import Row, table_key
from quintain.report.terminal.table import (
    SCORE,
    TEXT_COLUMNS,
    cells_without_score,
    footnotes,
    legend,
    table_title,
    text_cells,
)


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """One table as text; `best` says for each row whether it has rank 1."""

    title: str
    header: list[str]
    left_aligned: list[bool]  # for each column
    rows: list[list[str]]
    best: list[bool]
    footnotes: list[str]


def text_tables(board: Leaderboard) -> list[TextTable]:
    """Return the tables in the same order and with the same cells as on the terminal."""
    return [_text_table(rows) for rows in group_by(board.rows, table_key).values()]


def _text_table(rows: Sequence[Row]) -> TextTable:
    cells = text_cells(rows)
    names = list(cells[0])
    score = f"{rows[0].metric} {ARROW[rows[0].direction]}"
    return TextTable(
        title=table_title(rows).plain,
        header=[score if name == SCORE else name for name in names],
        left_aligned=[name in TEXT_COLUMNS for name in names],
        rows=[[row[name].plain for name in names] for row in cells],
        best=[row.rank == 1 for row in rows],
        footnotes=list(footnotes(rows)),
    )


def remarks(board: Leaderboard) -> list[str]:
    """Return the lines below all tables: sentences, legend, cells without a score, notes."""
    without_score = [f"{status}: {text}" for status, text in cells_without_score(board)]
    notes = [f"note: {note}" for note in board.notes]
    return [*board.sentences, *legend(board), *without_score, *notes]
