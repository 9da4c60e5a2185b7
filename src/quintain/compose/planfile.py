"""A plan as a file: `plans/<name>.json` beside the records, format 2.

    {"plan": 2, "quintain": version, "results_version": …, "words": […], "settings": {…},
     "notes": […], "totals": {…},
     "parts": {name: configuration of one part},
     "groups": {group: {names, reference, config: {part: name in parts}, sources, plugins, changed,
                width, params, estimate}},
     "cells": [{key, group, seed, action, reason}]}

Repeats share a group and groups share parts, so that ten thousand cells take 2 MB and not 100.
Nothing that a file says is believed: `compose.thaw` checks each cell, see `compose.resume`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quintain.compose.cells import KEY_LENGTH, Cell
from quintain.compose.errors import UsageError

FORMAT = 2
GROUP = ("names", "reference", "sources", "plugins", "changed", "width", "trial", "tuned")
FORM = {"parts": dict, "groups": dict, "cells": list, "settings": dict, "words": list}
FORM |= {"notes": list}
_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


class Writer:
    """Collects the groups and parts of a plan's cells."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._groups: dict[Any, str] = {}

    def group(self, cell: Cell, **more: Any) -> str:
        """The name of a cell's group in the file; `more` is said of it the first time."""
        mark = cell.group, id(cell.config), cell.width, repr(cell.trial), repr(cell.tuned)
        if mark not in self._groups:
            own = {name: getattr(cell, name) for name in GROUP}
            own["config"] = {part: self._part(node) for part, node in cell.config.items()}
            self._groups[mark] = self._place(cell.group, own | more)
        return self._groups[mark]

    def _place(self, group: str, content: dict[str, Any]) -> str:
        """Cells of one group may differ in names that decide nothing; then each has its entry."""
        name, count = group, 1
        while self.groups.setdefault(name, content) != content:
            count += 1
            name = f"{group}.{count}"
        return name

    def _part(self, node: dict[str, Any]) -> str:
        if id(node) not in self._names:
            text = json.dumps(node, sort_keys=True)
            name = hashlib.sha256(text.encode()).hexdigest()[:16]
            self.parts[name] = node
            self._names[id(node)] = name
        return self._names[id(node)]


def latest_plan(store: Path) -> Path:
    """The plan that was written last; raises UsageError where there is none."""
    plans = sorted((store / "plans").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    if not plans:
        raise UsageError(f"there is no plan in {store}/plans; run quintain sweep, or give its file")
    return plans[-1]


def load(file: Path) -> dict[str, Any]:
    """What a plan file says, unchecked but for its form.

    Raises:
        UsageError: it cannot be read, is no plan, or has another format.
    """
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no plan: {error}") from error
    if not isinstance(content, dict) or "plan" not in content:
        raise UsageError(f"{file} is no plan: expected the plan.json of a sweep")
    if content["plan"] != FORMAT:
        raise UsageError(
            f"{file} has plan format {content['plan']!r:.40} and this Quintain reads {FORMAT};"
            " make the plan anew with the same words"
        )
    wrong = [name for name, kind in FORM.items() if not isinstance(content.get(name, kind()), kind)]
    wrong += [name for name in ("parts", "groups", "cells", "settings") if name not in content]
    if wrong:
        raise UsageError(f"{file} is no plan: its {', '.join(wrong)} cannot be read")
    if (bad := next((e for e in content["cells"] if not _is_entry(e)), content)) is not content:
        raise UsageError(
            f"{file} is no plan: the cell {bad!r:.200} cannot be read; expected its key, group,"
            " seed and action"
        )
    return content


def _is_entry(value: Any) -> bool:
    """Whether it names a cell; what a key may be keeps it from leading out of the store."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("key"), str)
        and bool(_KEY.fullmatch(value["key"]))
        and type(value.get("seed")) is int
        and all(isinstance(value.get(name), str) for name in ("group", "action"))
    )


def plain_cells(content: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each cell of a loaded plan as plain values for `thaw`, and its entry in the plan.

    Raises:
        UsageError: an entry refers to nothing.
    """
    parts, groups = content["parts"], content["groups"]
    configs: dict[str, dict[str, Any]] = {}
    for entry in content["cells"]:
        try:
            name = entry["group"]
            group = groups[name]
            if name not in configs:
                configs[name] = {part: parts[node] for part, node in group["config"].items()}
            plain = {field: group[field] for field in GROUP if field in group}
            plain |= {"key": entry["key"], "group": name.partition(".")[0], "seed": entry["seed"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"the plan's cell {entry!r:.200} cannot be read: {error!r:.200}"
            ) from error
        yield plain | {"config": configs[name]}, entry
