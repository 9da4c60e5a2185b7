"""Everything that can be known before any data or accelerator is touched, and all of it at once.

Imports every `_target_`, binds its settings to the signature, and builds the model on the meta
device. Like configurations (other seeds) are looked at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quintain.compose.bind import instantiate, locate, problems
from quintain.compose.cells import PARTS, Cell
from quintain.compose.errors import UsageError, nearest
from quintain.contracts import Skip

if TYPE_CHECKING:
    from quintain.contracts import DataSpec

GIVEN = {"stem": 1, "head": 3, "model": 1}  # positional arguments that the engine passes
FILLED = {"stem": {"reads"}, "model": {"width"}}


@dataclass
class Verdict:
    """What preflight says of one cell."""

    problems: list[str] = field(default_factory=list)
    skip: str | None = None
    width: float | None = None
    params: int | None = None


def preflight(cells: Iterable[Cell]) -> dict[str, Verdict]:
    """Key → verdict. Raises UsageError with every problem of every cell, each once."""
    seen: dict[str, Verdict] = {}
    verdicts = {}
    for cell in cells:
        if cell.group not in seen:
            seen[cell.group] = examine(cell)
        verdicts[cell.key] = seen[cell.group]
    found = dict.fromkeys(text for verdict in seen.values() for text in verdict.problems)
    if found:
        raise UsageError(found)
    return verdicts


def examine(cell: Cell) -> Verdict:
    """One cell: settings first, then devices, then the model on the meta device."""
    if found := misfits(cell):
        return Verdict(problems=found)
    found = [*_values(cell), *_devices(cell)]
    try:
        dataset = instantiate(cell.config["dataset"])
    except (ValueError, TypeError, ImportError) as error:
        found.append(f"dataset={cell.names['dataset']}: {error}")
    if found:
        return Verdict(problems=found)
    return _reference(cell) if cell.reference else _meta_build(cell, dataset.spec)


def misfits(cell: Cell) -> list[str]:
    """Targets that cannot be imported, and settings that do not fit their signatures."""
    return [
        problem
        for part in PARTS
        if part in cell.config
        for problem in problems(
            part, cell.config[part], given=GIVEN.get(part, 0), extra=FILLED.get(part, set())
        )
    ]


def _values(cell: Cell) -> list[str]:
    """Budget and optimizer check their own values."""
    found = []
    for part in ("budget", "optimizer"):
        if part in cell.config:
            try:
                instantiate(cell.config[part])
            except ValueError as error:
                found.append(f"{part}: {error}")
    return found


def _devices(cell: Cell) -> list[str]:
    try:
        missing = instantiate(cell.config["hardware"]).missing()
    except ValueError as error:
        return [f"hardware: {error}"]
    return [f"hardware={cell.names['hardware']}: {missing}"] if missing else []


def _reference(cell: Cell) -> Verdict:
    known: Any = locate(cell.config["head"]["_target_"])
    if cell.reference in known.references:
        return Verdict()
    hint = nearest(str(cell.reference), known.references)
    return Verdict(problems=[f"{cell.names['head']} has no reference {cell.reference}{hint}"])


def _meta_build(cell: Cell, spec: DataSpec) -> Verdict:
    from quintain.compose.build import choose_width

    try:
        width = choose_width(cell.config, spec)
    except Skip as reason:
        return Verdict(skip=str(reason))
    except (ValueError, TypeError, RuntimeError) as error:
        shown = {part: cell.names[part] for part in ("dataset", "stem", "model", "head")}
        words = " ".join(f"{part}={name}" for part, name in shown.items())
        return Verdict(problems=[f"{words}: {type(error).__name__}: {error}"])
    if width is None:
        return Verdict()
    return Verdict(width=width.width, params=width.params)
