"""A leaderboard as LaTeX tables, to be set with `\\usepackage{booktabs}`."""

from __future__ import annotations

from collections.abc import Iterable

from quintain.report.formats.sheets import Sheet, remarks, sheets
from quintain.report.leaderboard import Board
from quintain.report.text import plain

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


def latex(board: Board) -> str:
    """One `table` a comparison, best model in bold, footnotes below; packages named on top."""
    parts = ["% needs \\usepackage{booktabs}\n", *(_table(sheet) for sheet in sheets(board))]
    parts += [f"% {_comment(said)}\n" for said in remarks(board)]
    return "\n".join(parts)


def escaped(text: str) -> str:
    """Every character that LaTeX reads otherwise as a command of its own; no control character."""
    return "".join(_ESCAPES.get(character, character) for character in plain(text).plain)


def _table(sheet: Sheet) -> str:
    columns = "".join("l" if left else "r" for left in sheet.left)
    body = [_line(words, best) for words, best in zip(sheet.lines, sheet.best, strict=True)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(sheet.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(sheet.heads, False),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\footnotesize {escaped(text)}" for text in sheet.footer),
            r"\end{table}",
            "",
        ]
    )


def _line(words: Iterable[str], best: bool) -> str:
    shown = [escaped(word) for word in words]
    return " & ".join(rf"\textbf{{{word}}}" if best else word for word in shown) + r" \\"


def _comment(text: str) -> str:
    return plain(" ".join(text.split())).plain
