"""Puts the page together: its parts in one file, and a policy that lets it load nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from quintain.records.store import Store
from quintain.report.page.data import page_data

SCRIPTS = (
    "dom", "state", "svg", "lines", "scatter", "bars", "heat", "save",
    "table", "matrix", "figures", "samples", "dataset", "overall", "about", "main",
)  # fmt: skip
"""The page's scripts in the order in which they are joined; each is one idea."""
MOST = 5_500_000  # bytes of the page's data; the page stays below 6 MB
REFRESH = 10  # seconds between two looks at a page that is being rebuilt


def page(store: Store, *, refresh: bool = False) -> str:
    """The whole page; with `refresh` it loads itself again every `REFRESH` seconds."""
    style, script = _read("page.css"), _script()
    data = page_data(store) | {"refresh": REFRESH if refresh else 0}
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "media-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    again = f'<meta http-equiv="refresh" content="{REFRESH}">' if refresh else ""
    parts = {
        "policy": policy,
        "refresh": again,
        "style": style,
        "data": as_script(fitted(data)),
        "script": script,
    }
    # In one pass: a record may hold `{{script}}` too.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def as_script(data: dict[str, Any]) -> str:
    """JSON that ends no script element, whatever it holds (and no line of JavaScript)."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def fitted(data: dict[str, Any]) -> dict[str, Any]:
    """The data without what a large store has too much of, the least important first; it says so.

    Rows are never dropped: a table of some rows would rank among those alone.
    """
    dropped = []
    for what, drop in _DROPS:
        if len(as_script(data).encode()) <= MOST:
            break
        drop(data)
        dropped.append(what)
    if dropped:
        said = f"left out, for the page to stay below 6 MB: {', '.join(dropped)}"
        data["left_out"] = "; ".join(filter(None, (data["left_out"], said)))
    return data


def _samples(data: dict[str, Any]) -> None:
    data["media"] = {}
    for table in data["tables"]:
        table["samples"] = []


def _emptied(name: str, empty: Any) -> Callable[[dict[str, Any]], None]:
    def drop(data: dict[str, Any]) -> None:
        for table in data["tables"]:
            for row in table["rows"]:
                row[name] = empty

    return drop


_DROPS: tuple[tuple[str, Callable[[dict[str, Any]], None]], ...] = (
    ("samples", _samples),
    ("confusion matrices", _emptied("confusion", None)),
    ("curves", _emptied("curves", [])),
    ("notes of each check", _emptied("trust", {})),
    ("settings", _emptied("changed", None)),
)


def _script() -> str:
    return "(() => {\n'use strict';\n" + "\n".join(_read(f"{n}.js") for n in SCRIPTS) + "})();\n"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
