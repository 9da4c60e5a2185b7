"""Reads the samples of a run: a few test inputs with target and prediction.

The folder may come from another user, so its content is not trusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quintain.records.field_types import to_standard_json

SAMPLES_FILE = "samples.json"
MAX_BYTES = 2**20  # of samples.json, which usually has a few thousand
_FIELDS = {"index", "truth", "prediction", "input"}


def read_samples(folder: Path) -> list[dict[str, Any]]:
    """Return the valid rows of `samples.json`; none if the file is not valid.

    Each row is a dict with an integer `index`, a dict `input`, `truth` and `prediction`.
    """
    try:
        file = find_sample_file(folder, SAMPLES_FILE)
        if file is None or file.stat().st_size > MAX_BYTES:
            return []
        rows = to_standard_json(json.loads(file.read_text(encoding="utf-8")), {})
        return [row for row in rows if _is_usable(row)]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def find_sample_file(folder: Path, name: Any) -> Path | None:
    """Return the path of a regular file in the folder; None if there is none, or it is a link."""
    if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
        return None
    file = folder / name
    try:
        is_linked = folder.is_symlink() or file.is_symlink()
        return file if file.is_file() and not is_linked else None
    except (OSError, ValueError):  # not a valid file name on this system
        return None


def _is_usable(row: Any) -> bool:
    if not isinstance(row, dict) or not set(row) >= _FIELDS:
        return False
    return isinstance(row["index"], int) and isinstance(row["input"], dict)
