"""A cell that comes from a file: checked before anything that it names is imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from quintain.compose.cells import ALONE, KEY_LENGTH, PARTS, Cell, keys, source_hash, targets
from quintain.compose.content import content_hash, touched, unchanged
from quintain.compose.errors import UsageError
from quintain.compose.providers import import_local, use_folder
from quintain.compose.shared import Shared

TAKEN_OUT = "[redacted]"  # what stands in place of a secret, see `records.scrub`
OPTIONAL = ("width", "changed", "trial", "tuned")  # they decide no result


def thaw(plain: dict[str, Any], shared: Shared | None = None) -> Cell:
    """The cell of a file's values; `shared` keeps what it has in common with others.

    Raises:
        UsageError: a field is missing or wrong, or the key is not that of the configuration and
            of the plugins' sources as they are here.
    """
    names = [field.name for field in fields(Cell)]
    if wrong := sorted(set(plain) - set(names)):
        raise UsageError(f"a cell has no field {', '.join(wrong)}")
    if missing := [name for name in names if name not in plain and name not in OPTIONAL]:
        raise UsageError(f"the cell is missing {', '.join(missing)}")
    if wrong := [name for name, fits in FITS.items() if not fits(plain.get(name))]:
        raise UsageError(f"the cell's {', '.join(wrong)} cannot be read")
    cell = Cell(**plain)
    if nameless := sorted({*cell.config} - {"measure", *cell.names}):
        raise UsageError(f"the cell has no name for its {', '.join(nameless)}")
    _check_key(cell, shared)
    return cell


def changed_sources(cell: Cell, since: float | None = None) -> str:
    """What of a frozen cell's code or files is another by now, in a sentence; "" for nothing.

    Args:
        cell: as the plan has it.
        since: when the files were looked at, in seconds since 1970: only such are read again that
            were touched later; None: all.
    """
    for folder in cell.plugins:
        use_folder(folder)
    import_local()
    changed = []
    for target, text in cell.sources.items():
        try:
            same = source_hash(target) == text
        except UsageError:
            same = False
        changed += [] if same else [target]
    if changed:
        return _told(f"the source of {', '.join(changed)}", "code")
    content_hash.cache_clear()  # of when the plan was made
    data = cell.config.get("dataset", {})
    try:
        same = (since is not None and not touched(data, since)) or unchanged(data)
    except OSError:
        same = False
    return (
        "" if same else _told(f"what is in the files of dataset={cell.names['dataset']}", "files")
    )


def _told(what: str, new: str) -> str:
    return (
        f"not run: {what} has changed since the plan was made;"
        f" make the plan anew (the same words without --resume) to run the cell with the new {new}"
    )


def _check_key(cell: Cell, shared: Shared | None) -> None:
    asked = keys(
        cell.config,
        cell.sources,
        seed=cell.seed,
        reference=cell.reference,
        study=(cell.trial or {}).get("study"),
        shared=shared,
    )
    if asked != (cell.key, cell.group) and TAKEN_OUT in str(cell.config):
        raise UsageError(
            "a secret was taken out of the cell's settings when it was written to a file: give the"
            " words anew, or let the plugin read the secret from the environment"
        )
    if asked != (cell.key, cell.group):
        raise UsageError("the cell's key is not that of its configuration: it was changed")
    for folder in cell.plugins:
        use_folder(folder)
    import_local()
    found = {target: source_hash(target) for target in targets(cell.config)}
    if {target: text for target, text in found.items() if text} != cell.sources:
        raise UsageError(
            changed_sources(cell) or "the cell's plugins have another source here; make it anew"
        )
    if shared is None and (changed := changed_sources(cell)):  # a plan's are looked at as a whole
        raise UsageError(changed)


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(rf"[0-9a-f]{{{KEY_LENGTH}}}", value))


def _is_words(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _is_config(value: Any) -> bool:
    return isinstance(value, dict) and all(
        (part == "measure" and node == ALONE)
        or (
            (part in PARTS and isinstance(node, dict))
            and isinstance(node.get("card", {}), dict | None)
        )
        for part, node in value.items()
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


FITS: dict[str, Callable[[Any], bool]] = {
    "key": _is_hex,
    "group": _is_hex,
    "names": _is_words,
    "seed": lambda value: type(value) is int,
    "reference": lambda value: value is None or isinstance(value, str),
    "config": _is_config,
    "sources": _is_words,
    "plugins": _is_list,
    "width": lambda value: value is None or type(value) in (int, float),
    "changed": lambda value: isinstance(value, dict | None),
    "trial": lambda value: isinstance(value, dict | None),
    "tuned": lambda value: isinstance(value, dict | None),
}
