"""Assembles the HTML page: one file whose content security policy allows no other resources."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any

from quintain.records.store import Store
from quintain.report.page.data import collect_page_data

SCRIPTS = (
    "dom", "state", "svg", "lines", "scatter", "bars", "heat", "save",
    "table", "matrix", "figures", "samples", "dataset", "aggregate", "overall", "about", "main",
)  # fmt: skip
"""The scripts of the page, which are concatenated in this order."""
_REMOVABLE: tuple[tuple[str, str, Any], ...] = (
    ("samples", "samples", []),
    ("confusion matrices", "confusion", None),
    ("curves", "curves", []),
    ("notes of each check", "trust", {}),
    ("settings", "changed", None),
)
"""What a large page omits: name, field of a row (or table), and the value that replaces it."""
MAX_DATA_BYTES = 5_500_000  # then the page with scripts and styles is below 6 MB
REFRESH_SECONDS = 10  # interval at which the page reloads itself


def build_page(store: Store, *, refresh: bool = False) -> str:
    """Return the HTML page; with `refresh` it reloads itself every `REFRESH_SECONDS`."""
    style, scripts = _read("page.css"), "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    script = f"(() => {{\n'use strict';\n{scripts}}})();\n"
    data = collect_page_data(store) | {"refresh": REFRESH_SECONDS if refresh else 0}
    parts = {
        "policy": f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'",
        "refresh": f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if refresh else "",
        "style": style,
        "data": to_script_json(fit_to_limit(data)),
        "script": script,
    }
    # One pass for all parts, because data may contain the text `{{script}}`.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


def to_script_json(data: dict[str, Any]) -> str:
    """Return JSON that is safe inside a script element."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def fit_to_limit(data: dict[str, Any]) -> dict[str, Any]:
    """Remove parts of the data in the order of `_REMOVABLE` until the page is small enough.

    `left_out` lists them. Rows are never removed, because that would change the ranking.
    """
    removed = []
    for name, field, empty in _REMOVABLE:
        if len(to_script_json(data).encode()) <= MAX_DATA_BYTES:
            break
        for table in data["tables"]:
            for owner in [table] if field == "samples" else table["rows"]:
                owner[field] = empty
        if field == "samples":
            data["media"] = {}
        removed.append(name)
    if removed:
        note = f"left out to keep the page below 6 MB: {', '.join(removed)}"
        data["left_out"] = "; ".join(filter(None, (data["left_out"], note)))
    return data


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
