"""Writes and reads the file of a plan, `plans/<name>.json` in a store (format 3).

    {"plan": 3, "quintain": version, "results_version": …, "overrides": […], "settings": {…},
     "notes": […], "totals": {…},
     "parts": {name: configuration of one part},
     "groups": {group: {names, baseline, config: {part: name in parts}, sources, plugins,
                non_defaults, width, params, estimate}},
     "cells": [{key, group, seed, action, reason}]}

Cells that differ only in the seed share a group, and groups share parts, so that ten thousand cells
take 2 MB instead of 100. `plan.resume` checks each cell of a file by `plan.cell_file.load_cell`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quintain.errors import UsageError
from quintain.plan.cell import KEY_LENGTH, Cell
from quintain.records.filesystem import read_regular_file

FORMAT = 3
GROUP_FIELDS = (
    "names", "baseline", "sources", "plugins", "non_defaults", "width", "trial", "tuned", "variant",
)  # fmt: skip
FOLDER, DRY_RUN_FOLDER = "plans", "dry-run"
"""Folder of a store's plans, and its folder of plans that `--dry-run` printed and nobody ran."""
REQUIRED_FIELDS = {"parts": dict, "groups": dict, "cells": list, "settings": dict}
OPTIONAL_FIELDS = {"overrides": list, "notes": list}
_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


class PlanWriter:
    """Collects the groups and parts of a plan's cells, each once."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self._part_names: dict[int, str] = {}
        self._group_names: dict[Any, str] = {}

    def add_group(self, cell: Cell, **extra: Any) -> str:
        """Add the group of a cell, with `extra` fields; return its name in the file.

        That is the cell's `group`. A number is added for a group that has other content because
        its cells differ in fields that are not part of the key.
        """
        identity = cell.group, id(cell.config), cell.width, repr(cell.trial), repr(cell.tuned)
        if identity not in self._group_names:
            content = {name: getattr(cell, name) for name in GROUP_FIELDS}
            content["config"] = {part: self._add_part(node) for part, node in cell.config.items()}
            content |= extra
            name, count = cell.group, 1
            while self.groups.setdefault(name, content) != content:
                count += 1
                name = f"{cell.group}.{count}"
            self._group_names[identity] = name
        return self._group_names[identity]

    def _add_part(self, node: dict[str, Any]) -> str:
        if id(node) not in self._part_names:
            text = json.dumps(node, sort_keys=True)
            name = hashlib.sha256(text.encode()).hexdigest()[:16]
            self.parts[name] = node
            self._part_names[id(node)] = name
        return self._part_names[id(node)]


def find_latest_plan(store: Path) -> Path:
    """Return the plan of a store that was written last, except those of dry runs.

    Raises:
        UsageError: there is none.
    """
    plans = sorted((store / FOLDER).glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    if not plans:
        raise UsageError(
            f"there is no plan in {store / FOLDER}; run quintain sweep, or give the file of a plan"
        )
    return plans[-1]


def find_store_of_plan(file: Path) -> Path | None:
    """Return the store in whose folder of plans a file is; None if it is elsewhere."""
    folder = file.absolute().parent
    folder = folder.parent if folder.name == DRY_RUN_FOLDER else folder
    return folder.parent if folder.name == FOLDER else None


def load_plan_file(file: Path) -> dict[str, Any]:
    """Return the content of a plan file, whose fields have the right types.

    Raises:
        UsageError: it cannot be read, is not a plan, or has another format.
    """
    try:
        content = json.loads(read_regular_file(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not a plan: {error}") from error
    if not isinstance(content, dict) or "plan" not in content:
        raise UsageError(f"{file} is not a plan: expected the plan file of a sweep")
    if content["plan"] != FORMAT:
        raise UsageError(
            f"{file} has plan format {content['plan']!r:.40} and this Quintain reads {FORMAT};"
            " make a new plan with the same settings"
        )
    missing = [name for name in REQUIRED_FIELDS if name not in content]
    types = (REQUIRED_FIELDS | OPTIONAL_FIELDS).items()
    wrong = [n for n, kind in types if n in content and not isinstance(content[n], kind)]
    if wrong or missing:
        raise UsageError(f"{file} is not a plan: its {', '.join(wrong + missing)} cannot be read")
    for entry in content["cells"]:
        if not _is_entry(entry):
            raise UsageError(
                f"{file} is not a plan: the cell {entry!r:.200} cannot be read; expected its key,"
                " group, seed and action"
            )
    return content


def _is_entry(value: Any) -> bool:
    """Whether a value describes a cell; its key must not be a path that leaves the store."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("key"), str)
        and bool(_KEY.fullmatch(value["key"]))
        and type(value.get("seed")) is int
        and all(isinstance(value.get(name), str) for name in ("group", "action"))
    )


def iterate_cells(content: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the fields of each cell of a loaded plan, for `load_cell`, and its entry in the plan.

    Raises:
        UsageError: an entry refers to a group or part that the file does not have.
    """
    parts, groups = content["parts"], content["groups"]
    configs: dict[str, dict[str, Any]] = {}
    for entry in content["cells"]:
        try:
            name = entry["group"]
            group = groups[name]
            if name not in configs:
                configs[name] = {part: parts[node] for part, node in group["config"].items()}
            values = {field: group[field] for field in GROUP_FIELDS if field in group}
            values |= {"key": entry["key"], "group": name.partition(".")[0], "seed": entry["seed"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"the plan's cell {entry!r:.200} cannot be read: {error!r:.200}"
            ) from error
        yield values | {"config": configs[name]}, entry
