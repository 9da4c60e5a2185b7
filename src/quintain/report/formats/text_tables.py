"""The tables of a leaderboard as text cells, for Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quintain.report.comparisons import group_by
from quintain.report.formatting import ARROW
from quintain.report.leaderboard import Leaderboard
from quintain.report.rows import Row, table_key
from quintain.report.terminal.overview import (
    OVERALL_HEADER,
    Matrix,
    OverallTable,
    make_matrix,
    make_overall_tables,
)
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
    """One table as text."""

    title: str
    header: list[str]
    left_aligned: list[bool]  # for each column
    rows: list[list[str]]
    bold: list[list[bool]]  # for each cell: the best model, unless a baseline is as good
    footnotes: list[str]


def text_tables(board: Leaderboard) -> list[TextTable]:
    """Return the tables in the same order and with the same cells as on the terminal."""
    tables = list(group_by(board.rows, table_key).values())
    overview = [_matrix_table(make_matrix(tables))] if len(tables) > 1 else []
    overall = [_overall_table(table) for table in make_overall_tables(board.overall)]
    return [*map(_text_table, tables), *overview, *overall]


def _matrix_table(matrix: Matrix) -> TextTable:
    rows = list(zip(*matrix.columns, strict=True))
    return TextTable(
        title=matrix.title,
        header=["model", *matrix.header],
        left_aligned=[True] + [False] * len(matrix.header),
        rows=[[label, *(cell.plain for cell in row)]
              for label, row in zip(matrix.models, rows, strict=True)],
        bold=[[False, *(cell.style == "bold" for cell in row)] for row in rows],
        footnotes=matrix.footnotes,
    )  # fmt: skip


def _overall_table(table: OverallTable) -> TextTable:
    return TextTable(
        title=table.title,
        header=list(OVERALL_HEADER),
        left_aligned=[name == "model" for name in OVERALL_HEADER],
        rows=table.rows,
        bold=[[False] * len(row) for row in table.rows],
        footnotes=table.footnotes,
    )


def _text_table(rows: Sequence[Row]) -> TextTable:
    cells = text_cells(rows)
    names = list(cells[0])
    score = f"{rows[0].metric} {ARROW[rows[0].direction]}"
    return TextTable(
        title=table_title(rows).plain,
        header=[score if name == SCORE else name for name in names],
        left_aligned=[name in TEXT_COLUMNS for name in names],
        rows=[[row[name].plain for name in names] for row in cells],
        bold=[[row.is_winner] * len(names) for row in rows],
        footnotes=list(footnotes(rows)),
    )


def remarks(board: Leaderboard) -> list[str]:
    """Return the lines below all tables: sentences, legend, cells without a score, notes."""
    without_score = [f"{status}: {text}" for status, text in cells_without_score(board)]
    notes = [f"note: {note}" for note in board.notes]
    return [*board.sentences, *legend(board), *without_score, *notes]
