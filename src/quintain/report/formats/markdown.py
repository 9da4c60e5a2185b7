"""A leaderboard as Markdown, with the tables of GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from quintain.report.formats.sheets import Sheet, remarks, sheets
from quintain.report.leaderboard import Board
from quintain.report.text import plain

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~>-])")


def markdown(board: Board) -> str:
    """One table a comparison, best model in bold; what is said below it as a list."""
    parts = [_table(sheet) for sheet in sheets(board)]
    if said := remarks(board):
        parts.append(_list(said))
    return "\n".join(parts) if parts else "No finished results to rank.\n"


def escaped(text: str) -> str:
    """Shown as it is: no markup, no HTML, one line, nothing that a terminal obeys."""
    marked = _SPECIAL.sub(r"\\\1", plain(text).plain.replace("\n", ", "))
    return marked.replace("&", "&amp;").replace("<", "&lt;")


def _table(sheet: Sheet) -> str:
    rule = [":--" if left else "--:" for left in sheet.left]
    lines = [f"### {escaped(sheet.title)}", "", _line(map(escaped, sheet.heads)), _line(rule)]
    for words, best in zip(sheet.lines, sheet.best, strict=True):
        shown = [escaped(word) for word in words]
        lines.append(_line(f"**{word}**" for word in shown) if best else _line(shown))
    return "\n".join(lines) + "\n\n" + (_list(sheet.footer) if sheet.footer else "")


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"


def _list(sentences: Sequence[str]) -> str:
    return "".join(f"- {escaped(sentence)}\n" for sentence in sentences)
