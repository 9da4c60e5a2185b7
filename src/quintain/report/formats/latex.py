"""A leaderboard as LaTeX tables, which need `\\usepackage{booktabs}`."""

from __future__ import annotations

from collections.abc import Iterable

from quintain.report.formats.text_tables import TextTable, remarks, text_tables
from quintain.report.leaderboard import Leaderboard
from quintain.report.terminal.console import safe_text

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "–": "--",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "µ": r"\textmu{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\n": ", ",
} | {character: "\\" + character for character in "&%$#_{}"}


def to_latex(board: Leaderboard) -> str:
    """Return a `table` environment per table with footnotes, the best model in bold."""
    parts = ["% needs \\usepackage{booktabs}\n", *(_table(table) for table in text_tables(board))]
    parts += [f"% {safe_text(' '.join(text.split())).plain}\n" for text in remarks(board)]
    return "\n".join(parts)


def escape_latex(text: str) -> str:
    """Escape text so that LaTeX shows it literally, without control characters."""
    return "".join(_ESCAPES.get(character, character) for character in safe_text(text).plain)


def _table(table: TextTable) -> str:
    columns = "".join("l" if left else "r" for left in table.left_aligned)
    body = [_line(cells, bold) for cells, bold in zip(table.rows, table.bold, strict=True)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(table.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(table.header, [False] * len(table.header)),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\footnotesize {escape_latex(text)}" for text in table.footnotes),
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Iterable[str], bold: Iterable[bool]) -> str:
    escaped = [escape_latex(cell) for cell in cells]
    shown = [rf"\textbf{{{cell}}}" if is_bold else cell
             for cell, is_bold in zip(escaped, bold, strict=True)]  # fmt: skip
    return " & ".join(shown) + r" \\"
