"""A verdict on a terminal: one line, a table, the notes."""

from __future__ import annotations

from rich.console import Console

from quintain.report.gate.values import COLUMNS, rows
from quintain.report.gate.verdict import INCONCLUSIVE, PASSED, REGRESSION, Verdict
from quintain.report.text import console, grid, plain

_STYLE = {PASSED: "bold green", REGRESSION: "bold red", INCONCLUSIVE: "bold yellow"}
_CELL = {"regression": "red", "inconclusive": "yellow", "not judged": "dim", "better": "green"}


def print_verdict(verdict: Verdict, to: Console | None = None) -> None:
    """The table first, so that the line that matters is the last one read."""
    out, table = to or console(), grid()
    for name in COLUMNS:
        right = name in ("baseline", "candidate", "n", "p")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for cells in rows(verdict):
        table.add_row(*(plain(cell) for cell in cells), style=_CELL.get(cells[0], ""))
    out.print(table)
    for note in verdict.notes:
        out.print(plain(note, "dim"))
    out.print(plain(verdict.sentence, _STYLE[verdict.exit_code]), soft_wrap=True)  # one line
