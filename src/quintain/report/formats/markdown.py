"""A leaderboard as GitHub-flavored Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from quintain.report.formats.text_tables import TextTable, remarks, text_tables
from quintain.report.leaderboard import Leaderboard
from quintain.report.terminal.console import safe_text

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~>-])")


def to_markdown(board: Leaderboard) -> str:
    """Return all tables with footnotes, the best model in bold, then the general remarks."""
    parts = [_table(table) for table in text_tables(board)]
    if texts := remarks(board):
        parts.append(_list(texts))
    return "\n".join(parts) if parts else "No finished results to rank.\n"


def escape_markdown(text: str) -> str:
    """Escape text so that it is shown literally, on one line, without control characters."""
    escaped = _SPECIAL.sub(r"\\\1", safe_text(text).plain.replace("\n", ", "))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _table(table: TextTable) -> str:
    delimiters = [":--" if left else "--:" for left in table.left_aligned]
    lines = [f"### {escape_markdown(table.title)}", ""]
    lines += [table_line(map(escape_markdown, table.header)), table_line(delimiters)]
    for cells, bold in zip(table.rows, table.bold, strict=True):
        escaped = [escape_markdown(cell) for cell in cells]
        lines.append(table_line(f"**{cell}**" if is_bold else cell
                                for cell, is_bold in zip(escaped, bold, strict=True)))  # fmt: skip
    return "\n".join(lines) + "\n\n" + (_list(table.footnotes) if table.footnotes else "")


def table_line(cells: Iterable[str]) -> str:
    """Return one line of a table; `cells` must be escaped."""
    return f"| {' | '.join(cells)} |"


def _list(texts: Sequence[str]) -> str:
    return "".join(f"- {escape_markdown(text)}\n" for text in texts)
