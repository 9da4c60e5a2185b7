"""Everything that can be known before any data or accelerator is touched, and all of it at once.

Imports every `_target_`, binds its settings to the signature, and builds the model on the meta
device. Like configurations (other seeds) are looked at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from quintain.compose.bind import FILLED, GIVEN, instantiate, locate, problems
from quintain.compose.cells import PARTS, Cell
from quintain.compose.errors import UsageError, nearest
from quintain.compose.needs import install_hint
from quintain.contracts import Skip

if TYPE_CHECKING:
    from quintain.contracts import DataSpec

LIGHT = ("budget", "optimizer")
HEAVY = tuple(part for part in PARTS if part not in LIGHT)
BUILT = ("stem", "head", "model")


@dataclass
class Verdict:
    """What preflight says of one cell."""

    problems: list[str] = field(default_factory=list)
    skip: str | None = None
    width: float | None = None
    params: int | None = None
    score: tuple[str, str] | None = None  # of a trial: its main score's name and direction
    notes: tuple[str, ...] = ()  # what the dataset found out about the user's files


def preflight(cells: Iterable[Cell], here: bool = True) -> dict[str, Verdict]:
    """Key → verdict. Raises UsageError with every problem of every cell, each once.

    `here`: the cells will run on this machine, so it must have their devices.
    """
    seen: dict[str, Verdict] = {}
    verdicts = {}
    _published.cache_clear()  # a user's file may have changed meanwhile
    built: dict[str, Verdict] = {}
    for cell in cells:
        if cell.group not in seen:
            seen[cell.group] = examine(cell, here, built)
        verdicts[cell.key] = seen[cell.group]
    found = dict.fromkeys(text for verdict in seen.values() for text in verdict.problems)
    if found:
        raise UsageError(found)
    return verdicts


def examine(cell: Cell, here: bool = True, built: dict[str, Verdict] | None = None) -> Verdict:
    """One cell: settings first, then devices, then the model on the meta device.

    Args:
        cell: to look at.
        here: this machine needs the devices.
        built: remembers models, of which many cells may have the same.
    """
    config = cell.config
    found = [*(_needs(cell) or misfits(config, HEAVY)), *misfits(config, LIGHT)]
    found += _values(config, LIGHT)
    if here and not misfits(config, ["hardware"]):
        found += _devices(cell)
    if not misfits(config, ["dataset"]):
        try:
            spec, notes = _published(json.dumps(config["dataset"], sort_keys=True))
        except Exception as error:  # a plugin may raise anything
            found.append(f"dataset={cell.names['dataset']}: {_words(error)}")
    if found:
        return Verdict(problems=found)
    if cell.reference:
        return replace(_reference(cell), notes=notes)
    if (pool := config["budget"].get("group_by_length", 1)) > 1 and not spec.ragged:
        why = "all samples have one length"
        notes = (*notes, f"budget.group_by_length={pool} has no effect: {why}")
    built, name = {} if built is None else built, _model_name(cell)
    if name not in built:
        built[name] = _meta_build(cell, spec)
    return replace(built[name], notes=notes)


def _model_name(cell: Cell) -> str:
    """All that a model's size depends on."""
    parts: dict[str, Any] = {part: cell.config[part] for part in ("dataset", *BUILT)}
    return json.dumps([parts, cell.config["budget"].get("params"), cell.names], sort_keys=True)


@cache
def _published(dataset_node: str) -> tuple[DataSpec, tuple[str, ...]]:
    """What a dataset says of itself; once for all models, since it may read a user's files."""
    dataset = instantiate(json.loads(dataset_node))
    return dataset.spec, tuple(getattr(dataset, "notes", ()))


def light_problems(config: Mapping[str, Any]) -> list[str]:
    """What can be told without importing torch; the rest comes when the words are right."""
    return [*misfits(config, LIGHT), *_values(config, ["budget"])]


def misfits(config: Mapping[str, Any], parts: Iterable[str] = PARTS) -> list[str]:
    """Targets that cannot be imported, and settings that do not fit their signatures."""
    return [
        problem
        for part in parts
        if part in config
        for problem in _misfits_of(part, json.dumps(config[part], default=str))
    ]


@lru_cache(maxsize=1024)
def _misfits_of(part: str, text: str) -> list[str]:
    given, extra = GIVEN.get(part, 0), FILLED.get(part, set())
    return problems(part, json.loads(text), given=given, extra=extra)


def _needs(cell: Cell) -> list[str]:
    """Packages that a plugin's card asks for and that are not here."""
    return [
        f"{part}={cell.names[part]} {hint}"
        for part in PARTS
        if part in cell.config and part in cell.names
        if (hint := install_hint(cell.config[part].get("card") or {}))
    ]


def _values(config: Mapping[str, Any], parts: Iterable[str]) -> list[str]:
    """Budget and optimizer check their own values."""
    found = []
    for part in parts:
        if part in config and not misfits(config, [part]):
            try:
                instantiate(config[part])
            except ValueError as error:
                found.append(f"{part}: {error}")
    return found


def _devices(cell: Cell) -> list[str]:
    name = cell.names["hardware"]
    try:
        missing = instantiate(cell.config["hardware"]).missing()
    except Exception as error:  # a plugin may raise anything
        return [f"hardware={name}: {_words(error)}"]
    return [f"hardware={name}: {missing}"] if missing else []


def _words(error: Exception) -> str:
    """A ValueError's or DataError's text is for the user; of another, the kind says something."""
    plain = type(error).__name__ in ("ValueError", "DataError")
    return str(error) if plain else f"{type(error).__name__}: {error}"


def _reference(cell: Cell) -> Verdict:
    known: Any = locate(cell.config["head"]["_target_"])
    if cell.reference in known.references:
        return Verdict()
    hint = nearest(str(cell.reference), known.references)
    return Verdict(problems=[f"{cell.names['head']} has no reference {cell.reference}{hint}"])


def _meta_build(cell: Cell, spec: DataSpec) -> Verdict:
    from quintain.compose.build import choose_width, main_score

    try:
        width = choose_width(cell.config, spec)
        asks = cell.trial is not None
        score = main_score(cell.config, spec, width.width if width else None) if asks else None
    except Skip as reason:
        return Verdict(skip=str(reason))
    except Exception as error:  # a plugin may raise anything
        shown = {part: cell.names[part] for part in ("dataset", "stem", "model", "head")}
        words = " ".join(f"{part}={name}" for part, name in shown.items())
        return Verdict(problems=[f"{words}: {_words(error)}"])
    if width is None:
        return Verdict(score=score)
    return Verdict(width=width.width, params=width.params, score=score)
