"""Labels of cells, for messages: the names of their options, their seed, and what else differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quintain.errors import printable
from quintain.plan.cell import Cell

GROUP_DIGITS = 8  # of the hash that tells cells apart whose settings look the same


def add_variants(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells with a `variant` where others have the same label: `optimizer.lr=0.001`."""
    groups_by_label: dict[tuple[object, ...], dict[str, Cell]] = {}
    for cell in cells:
        label = (*(cell.names[part] for part in ("dataset", "model", "hardware")), cell.exclusive)
        groups_by_label.setdefault(label, {}).setdefault(cell.group, cell)
    variants = {
        group: variant
        for groups in groups_by_label.values()
        if len(groups) > 1
        for group, variant in _describe_groups(groups.values()).items()
    }
    return [
        replace(cell, variant=variants[cell.group]) if cell.group in variants else cell
        for cell in cells
    ]


def _describe_groups(cells: Collection[Cell]) -> dict[str, str]:
    """Return group → the settings that differ among cells of different groups."""
    candidates = dict.fromkeys(name for cell in cells for name in cell.non_defaults)
    settings = {c.group: {name: _read_setting(c, name) for name in candidates} for c in cells}
    names = [
        name for name in candidates if len({repr(values[name]) for values in settings.values()}) > 1
    ]
    variants = {
        group: ", ".join(f"{name}={printable(str(values[name]))}" for name in names)
        for group, values in settings.items()
    }
    if len({*variants.values()}) < len(variants):  # such as files of the same name
        return {g: f"{text} {g[:GROUP_DIGITS]}".strip() for g, text in variants.items()}
    return variants


def _read_setting(cell: Cell, name: str) -> Any:
    """Return the value of `optimizer.lr`, or the option of a group such as `stem`."""
    if name in cell.non_defaults:
        return cell.non_defaults[name]
    if name in cell.names:
        return cell.names[name]
    value: Any = cell.config
    for step in name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
