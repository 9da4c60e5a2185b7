"""Loads a cell from JSON values, which are checked before anything that they name is imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from quintain.compose.data_hash import content_hash, has_same_content
from quintain.compose.plugin_providers import add_plugin_folder, register_local_plugins
from quintain.compose.settings import PARTS
from quintain.compose.source_hash import hash_sources, source_hash
from quintain.errors import UsageError
from quintain.plan.cell import EXCLUSIVE_MEASURE, KEY_LENGTH, Cell, compute_keys
from quintain.plan.interning import InternPool
from quintain.records.redact import REDACTED

OPTIONAL = ("width", "non_defaults", "trial", "tuned", "variant")  # fields that may be missing


def load_cell(values: dict[str, Any], pool: InternPool | None = None) -> Cell:
    """Return a cell with these fields, which come from a file that may be damaged or hostile.

    The cells of one plan have a `pool`, which stores what they have in common. Their data files are
    not checked here: `plan.resume` does it once for all cells.

    Raises:
        UsageError: a field is missing or not valid, or the key is not the hash of the configuration
            and of the plugins' sources on this machine.
    """
    names = [field.name for field in fields(Cell)]
    if unknown := sorted(set(values) - set(names)):
        raise UsageError(f"a cell has no field {', '.join(unknown)}")
    if missing := [name for name in names if name not in values and name not in OPTIONAL]:
        raise UsageError(f"the cell is missing {', '.join(missing)}")
    if wrong := [name for name, is_valid in VALIDATORS.items() if not is_valid(values.get(name))]:
        raise UsageError(f"the cell's {', '.join(wrong)} cannot be read")
    cell = Cell(**values)
    if parts := sorted({*cell.config} - {"measure", *cell.names}):
        raise UsageError(f"the cell's names lack the option of {', '.join(parts)}")
    _check_key(cell, pool)
    if pool is None and (changes := describe_changes(cell)):
        raise UsageError(changes)
    return cell


def _check_key(cell: Cell, pool: InternPool | None) -> None:
    expected = compute_keys(
        cell.config,
        cell.sources,
        seed=cell.seed,
        baseline=cell.baseline,
        study=(cell.trial or {}).get("study"),
        pool=pool,
    )
    if expected != (cell.key, cell.group):
        if REDACTED in str(cell.config):
            raise UsageError(
                "a secret was removed from the cell's settings when it was written to a file: give"
                " the overrides again, or let the plugin read the secret from the environment"
            )
        raise UsageError(
            "the cell's key is not the hash of its configuration: the file was changed after it was"
            " written"
        )
    _import_plugins_of(cell)
    if hash_sources(cell.config) != cell.sources:
        raise UsageError(
            describe_changes(cell)
            or "the cell's plugins have other source files on this machine; make a new plan here"
        )


def _import_plugins_of(cell: Cell) -> None:
    for folder in cell.plugins:
        add_plugin_folder(folder)
    register_local_plugins()


def describe_changes(cell: Cell) -> str:
    """Return a message if code or data changed since a cell's plan was made, else ""."""
    _import_plugins_of(cell)
    if changed := [
        target for target, value in cell.sources.items() if not _has_source(target, value)
    ]:
        return _explain_change(f"the source of {', '.join(changed)}", "code")
    content_hash.cache_clear()  # it may contain hashes from before the change
    dataset = cell.config.get("dataset", {})
    try:
        if has_same_content(dataset):
            return ""
    except OSError:
        pass
    return _explain_change(f"the content of the files of dataset={cell.names['dataset']}", "files")


def _has_source(target: str, expected: str) -> bool:
    try:
        return source_hash(target) == expected
    except UsageError:
        return False


def _explain_change(subject: str, kind: str) -> str:
    return (
        f"not run: {subject} has changed since the plan was made; make a new plan (the same command"
        f" without --resume) to run the cell with the new {kind}"
    )


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(rf"[0-9a-f]{{{KEY_LENGTH}}}", value))


def _is_str_dict(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _is_config(value: Any) -> bool:
    return isinstance(value, dict) and all(
        (part == "measure" and node == EXCLUSIVE_MEASURE)
        or (
            part in PARTS
            and isinstance(node, dict)
            and isinstance(node.get("card", {}), dict | None)
        )
        for part, node in value.items()
    )


VALIDATORS: dict[str, Callable[[Any], bool]] = {
    "key": _is_hex,
    "group": _is_hex,
    "names": _is_str_dict,
    "seed": lambda v: type(v) is int,
    "baseline": lambda v: isinstance(v, str | None),
    "variant": lambda v: isinstance(v, str | None),
    "config": _is_config,
    "sources": _is_str_dict,
    "plugins": lambda v: isinstance(v, list) and all(isinstance(item, str) for item in v),
    "width": lambda v: v is None or type(v) in (int, float),
    **dict.fromkeys(("non_defaults", "trial", "tuned"), lambda v: isinstance(v, dict | None)),
}
