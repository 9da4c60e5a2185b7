"""A leaderboard for other programs: CSV with one line per row, and versioned JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter

from quintain.report.leaderboard import Leaderboard
from quintain.report.rows import Row
from quintain.report.terminal.console import safe_text

VERSION = 1
"""Of the JSON layout: changes if a field is removed or redefined, not if one is added."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_C1 = re.compile("[\x7f-\x9f]")


def to_values(board: Leaderboard) -> dict[str, Any]:
    """Return the layout version and all fields of a leaderboard as plain values, without NaN."""
    values = asdict(board)
    return {"version": VERSION} | values | {"rows": [_row_values(row) for row in board.rows]}


def _row_values(row: Row) -> dict[str, Any]:
    return asdict(row) | {"reference": row.baseline}  # the old name of the field


def to_json(board: Leaderboard) -> str:
    """Return standard JSON; all control characters, including C1, are escaped."""
    text = json.dumps(to_values(board), indent=1, allow_nan=False, ensure_ascii=False)
    return _C1.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `to_values`, from the types of `Leaderboard`."""
    board = TypeAdapter(Leaderboard).json_schema()
    row = board["$defs"]["Row"]
    old_field = {"title": "Reference", "deprecated": True}
    row["properties"]["reference"] = row["properties"]["baseline"] | old_field
    row["required"].append("reference")
    title = {"title": "Quintain leaderboard", "$comment": f"version {VERSION}"}
    properties = {"version": {"const": VERSION}} | board["properties"]
    return board | title | {"properties": properties, "required": list(properties)}


def to_csv(board: Leaderboard) -> str:
    """Return a header and one line per row, with the fields of the JSON as columns.

    Lists and objects are JSON, missing values are empty. Text that a spreadsheet would interpret as
    a formula is prefixed by an apostrophe; control characters except line breaks are replaced.
    """
    out = io.StringIO()
    names = [*(field.name for field in fields(Row)), "reference"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in map(_row_values, board.rows):
        writer.writerow([_cell(row[name]) for name in names])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        shown = safe_text(value).plain
        return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
    return repr(value) if isinstance(value, float) else json.dumps(value)
