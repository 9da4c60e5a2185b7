"""A leaderboard as values for other programs: CSV with a line a row, JSON with a version."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter

from quintain.report.leaderboard import Board
from quintain.report.rows import Row
from quintain.report.text import plain as printable

VERSION = 1
"""Of the JSON's layout: raised where a field goes or changes its meaning, not where one comes."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_C1 = re.compile("[\x7f-\x9f]")


def plain(board: Board) -> dict[str, Any]:
    """`version`, `rows`, `notes`, `failed`, `skipped` and what else a board has. No NaN."""
    return {"version": VERSION} | asdict(board)


def json_text(board: Board) -> str:
    """`plain` as standard JSON; control characters are escaped, those of C1 too."""
    text = json.dumps(plain(board), indent=1, allow_nan=False, ensure_ascii=False)
    return _C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `plain`, from the types of `Board` and `Row`."""
    board = TypeAdapter(Board).json_schema()
    title = {"title": "Quintain leaderboard", "$comment": f"version {VERSION}"}
    properties = {"version": {"const": VERSION}} | board["properties"]
    return board | title | {"properties": properties, "required": list(properties)}


def csv_text(board: Board) -> str:
    """One line a row, columns as in the JSON; lists and objects are JSON, what is missing is empty.

    Text that a spreadsheet would take for a formula begins with an apostrophe, and has no control
    characters but line breaks.
    """
    out = io.StringIO()
    names = [field.name for field in fields(Row)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in board.rows:
        values = asdict(row)
        writer.writerow([_cell(values[name]) for name in names])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        shown = printable(value).plain
        return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
    return repr(value) if isinstance(value, float) else json.dumps(value)
