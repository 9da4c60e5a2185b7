"""Checks everything about a cell that can be known before data or an accelerator is used.

Preflight imports every `_target_`, compares its settings with the signature, and builds the model
on the meta device. Cells that differ only in the seed are checked once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

from quintain.compose.instantiate import (
    ENGINE_SETTINGS,
    POSITIONAL_ARGUMENTS,
    find_node_problems,
    instantiate,
    locate,
)
from quintain.compose.requirements import install_hint
from quintain.compose.settings import PARTS
from quintain.contracts import Unsupported
from quintain.errors import DataError, UsageError, describe_error, nearest
from quintain.plan.cell import Cell

if TYPE_CHECKING:
    from quintain.contracts import Dataset, DataSpec

PARTS_WITHOUT_TORCH = ("budget", "optimizer")
"""Parts whose signatures are checked without torch; building an optimizer does import it."""
PARTS_WITH_TORCH = tuple(part for part in PARTS if part not in PARTS_WITHOUT_TORCH)


@dataclass
class PreflightResult:
    """The result of preflight for one cell.

    Attributes:
        problems: messages; if there are any, the cell cannot run.
        skip: why the model does not support the dataset, else None.
        width: of the model, solved from the budget; None if it has no such setting.
        params: number of parameters that count towards the budget.
        score: for a trial, name and direction of its main score.
        notes: remarks of the dataset about the user's files.
    """

    problems: list[str] = field(default_factory=list)
    skip: str | None = None
    width: float | None = None
    params: int | None = None
    score: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()


def preflight_cells(
    cells: Iterable[Cell], check_devices: bool = True
) -> dict[str, PreflightResult]:
    """Return key → result for each cell; `check_devices` says that they will run on this machine.

    Raises:
        UsageError: with every problem of every cell, each once.
    """
    by_group: dict[str, PreflightResult] = {}
    by_key: dict[str, PreflightResult] = {}
    by_model: dict[str, PreflightResult] = {}
    _build_dataset.cache_clear()  # the user's files may have changed since the last call
    for cell in cells:
        if cell.group not in by_group:
            by_group[cell.group] = preflight_cell(cell, check_devices, by_model)
        by_key[cell.key] = by_group[cell.group]
    if problems := dict.fromkeys(text for r in by_group.values() for text in r.problems):
        raise UsageError(problems)
    return by_key


def preflight_cell(
    cell: Cell, check_devices: bool = True, by_model: dict[str, PreflightResult] | None = None
) -> PreflightResult:
    """Check one cell: first its settings, then devices, then the model on the meta device.

    `check_devices` says that it will run on this machine. `by_model` is a cache for cells with the
    same model.
    """
    config = cell.config
    # If a package is missing, importing the plugin would only report it a second time.
    problems = _find_missing_packages(cell) or find_signature_problems(config, PARTS_WITH_TORCH)
    problems += find_problems_without_torch(config) + _find_value_problems(config, "optimizer")
    if check_devices and not find_signature_problems(config, ["hardware"]):
        problems += _find_missing_devices(cell)
    if not find_signature_problems(config, ["dataset"]):
        try:
            dataset = _build_dataset(json.dumps(config["dataset"], sort_keys=True))
            spec, notes = dataset.spec, tuple(getattr(dataset, "notes", ()))
        except Exception as error:  # a plugin may raise anything
            problems.append(f"dataset={cell.names['dataset']}: {_describe_error(error)}")
    if problems:
        return PreflightResult(problems=problems)
    if cell.baseline:
        return replace(_check_baseline(cell), notes=notes)
    if (pool := config["budget"].get("group_by_length", 1)) > 1 and not spec.ragged:
        reason = "all samples have one length"
        notes = (*notes, f"budget.group_by_length={pool} has no effect: {reason}")
    by_model = {} if by_model is None else by_model
    parts = {part: config[part] for part in ("dataset", "stem", "head", "model")}
    model = json.dumps([parts, config["budget"].get("params"), cell.names], sort_keys=True)
    if model not in by_model:
        # The constructor of a dataset of the user's files has read them.
        has_files = bool((config["dataset"].get("card") or {}).get("files"))
        by_model[model] = _build_on_meta_device(cell, spec, dataset if has_files else None)
    return replace(by_model[model], notes=(*notes, *by_model[model].notes))


@cache
def _build_dataset(dataset_node: str) -> Dataset:
    """Return a dataset, whose constructor may read the user's files."""
    return cast("Dataset", instantiate(json.loads(dataset_node)))


def find_problems_without_torch(config: Mapping[str, Any]) -> list[str]:
    """Return the problems that can be found without importing torch; preflight finds the others."""
    problems = find_signature_problems(config, PARTS_WITHOUT_TORCH)
    return problems + _find_value_problems(config, "budget")


def _find_value_problems(config: Mapping[str, Any], part: str) -> list[str]:
    """Return the error of a part whose class checks its own values, if there is one."""
    if part in config and not find_signature_problems(config, [part]):
        try:
            instantiate(config[part])
        except ValueError as error:
            return [f"{part}: {error}"]
    return []


def find_signature_problems(config: Mapping[str, Any], parts: Iterable[str] = PARTS) -> list[str]:
    """Return targets that cannot be imported, and settings that do not fit their signatures."""
    return [
        problem
        for part in parts
        if part in config
        for problem in _check_signature(part, json.dumps(config[part], default=str))
    ]


@lru_cache(maxsize=1024)
def _check_signature(part: str, node: str) -> list[str]:
    return find_node_problems(
        part,
        json.loads(node),
        positional=POSITIONAL_ARGUMENTS.get(part, 0),
        filled_in=ENGINE_SETTINGS.get(part, ()),
    )


def _find_missing_packages(cell: Cell) -> list[str]:
    return [
        f"{part}={cell.names[part]} {hint}"
        for part in PARTS
        if part in cell.config and part in cell.names
        if (hint := install_hint(cell.config[part].get("card") or {}))
    ]


def _find_missing_devices(cell: Cell) -> list[str]:
    name = cell.names["hardware"]
    try:
        missing = instantiate(cell.config["hardware"]).missing()
    except Exception as error:  # a plugin may raise anything
        return [f"hardware={name}: {_describe_error(error)}"]
    return [f"hardware={name}: {missing}"] if missing else []


def _describe_error(error: Exception) -> str:
    """Return the error's message, with its type unless the message was written for the user."""
    is_for_user = type(error) is ValueError or isinstance(error, DataError)
    return str(error) if is_for_user else describe_error(error)


def _check_baseline(cell: Cell) -> PreflightResult:
    head: Any = locate(cell.config["head"]["_target_"])
    if cell.baseline in head.baselines:
        return PreflightResult()
    hint = nearest(str(cell.baseline), head.baselines)
    return PreflightResult([f"{cell.names['head']} has no baseline {cell.baseline}{hint}"])


def _build_on_meta_device(cell: Cell, spec: DataSpec, dataset: Dataset | None) -> PreflightResult:
    """Check the model of a cell; `dataset` is None if it has not read its files."""
    from quintain.model import (  # imports torch
        build_on_meta_device,
        check_transcripts,
        choose_width,
        get_main_score,
    )

    score = None
    try:
        solved = choose_width(cell.config, spec)
        width = None if solved is None else solved.width
        notes = check_transcripts(build_on_meta_device(cell.config, spec, width), dataset)
        if cell.trial is not None:
            score = get_main_score(cell.config, spec, width)
    except Unsupported as reason:
        return PreflightResult(skip=str(reason))
    except Exception as error:  # a plugin may raise anything
        parts = " ".join(f"{p}={cell.names[p]}" for p in ("dataset", "stem", "model", "head"))
        return PreflightResult([f"{parts}: {_describe_error(error)}"])
    params = None if solved is None else solved.params
    return PreflightResult(width=width, params=params, score=score, notes=notes)
