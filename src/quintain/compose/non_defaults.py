"""Finds the settings of a cell that differ from their defaults, for the leaderboard.

The default of a setting is its value when only the dataset and the model are chosen. So the stem
that a dataset chooses is a default; the one that a suite or the command line chooses is not. Only
values are compared: `optimizer.lr=0.003` is no difference if 0.003 is the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from quintain.compose.config import Composition, default_data_dir, fast_composer, load_option
from quintain.compose.hydra_compose import COMPOSE_ERRORS, compose_unresolved, load_yaml
from quintain.compose.settings import PARTS, TOP_LEVEL_SETTINGS

Nodes = dict[str, dict[str, Any]]

DEPENDENT_PARTS = ("dataset", "stem", "head", "model", "optimizer")
"""Parts whose defaults depend on the dataset and the model; those of the others do not."""

_INDEPENDENT = {*TOP_LEVEL_SETTINGS, "hydra"} - {*DEPENDENT_PARTS}
"""Top-level settings that set nothing in a dependent part."""

UNSET = "unset"
IGNORED = ("card", "data_dir")


def non_default_settings(composition: Composition) -> dict[str, Any]:
    """Return `{"optimizer.lr": 0.001}`, or `{"stem": "mine"}` for another option of a group.

    Of the path of a user's file or folder only the last part is returned, because a record must
    not reveal the folders of a machine. Hydra must be initialised.
    """
    choices = composition.choices
    default_choices, default_nodes = find_defaults(composition)
    differences: dict[str, Any] = {}
    for part in PARTS:
        if default_choices.get(part, choices[part]) != choices[part]:
            differences[part] = choices[part]
            default = load_option(part, choices[part])
        elif part in default_nodes:
            default = default_nodes[part]
        elif part not in DEPENDENT_PARTS:
            default = load_option(part, choices[part])
        else:
            continue  # no override and no suite sets anything in this part
        differences |= _compare(part, default, composition.config[part])
    if composition.config["measure"] == "speed":
        differences["measure"] = "speed"
    return differences | dict(_shorten_paths(differences, composition.config["dataset"]))


def find_defaults(composition: Composition) -> tuple[dict[str, str], Nodes]:
    """Return default choices, and the default nodes of the dependent parts.

    There are no nodes if neither the overrides nor the suite touch a dependent part, because Hydra
    needs 0.15 s to compose them.
    """
    budget = {"budget": _default_option("budget")}
    choices = composition.choices
    if not (
        _overrides_set_dependent_part(composition.overrides)
        or _suite_sets_dependent_part(choices.get("suite"))
    ):
        return budget, {}
    try:
        names, nodes = _compose_defaults(choices["dataset"], choices["model"])
    except COMPOSE_ERRORS:  # a dataset that chooses no stem does not compose by itself
        names = {}
        nodes = {p: load_option(p, choices[p]) for p in DEPENDENT_PARTS if p != "dataset"}
    return budget | names, nodes


def _overrides_set_dependent_part(overrides: tuple[str, ...] | None) -> bool:
    """Whether overrides may set something in a dependent part; a group of the user's own may."""
    if overrides is None:
        return True
    keys = [re.split(r"[=@]", text.lstrip("+~"), maxsplit=1)[0] for text in overrides]
    return any(
        key.split(".")[0] not in _INDEPENDENT and key not in ("dataset", "model", "suite")
        for key in keys
    )


@lru_cache(maxsize=64)
def _suite_sets_dependent_part(suite: str | None) -> bool:
    """Whether a suite may choose an option of a dependent part or set a value in it.

    Any value counts, even one that is usually the default: defaults depend on the dataset, and are
    compared later. A suite that includes another suite may set anything.
    """
    if suite is None or (file := load_yaml(f"suite/{suite}")) is None:
        return False
    config = cast(DictConfig, file.config)
    groups = [_group_of_default(default) for default in config.get("defaults", [])]
    return "suite" in groups or any(p in config or p in groups for p in DEPENDENT_PARTS)


def _group_of_default(default: Any) -> str:
    """Return the group of an entry in a defaults list, `stem` for `override /stem: rows`.

    It is "" for `_self_`, and "suite" for an entry of another form, which may set anything.
    """
    if default == "_self_":
        return ""
    if not isinstance(default, Mapping):
        return "suite"
    match = re.fullmatch(r"(?:override )?/?(\w+)(?:@.*)?", next(iter(default), ""))
    return match[1] if match else "suite"


@lru_cache(maxsize=4096)
def _compose_defaults(dataset: str, model: str) -> tuple[dict[str, str], Nodes]:
    overrides = f"dataset={dataset}", f"model={model}"
    if composed := fast_composer().compose(overrides):
        plain, choices = composed
        return {p: choices[p] for p in DEPENDENT_PARTS}, {p: plain[p] for p in DEPENDENT_PARTS}
    config = compose_unresolved(overrides).copy()
    if config.get("data_dir") is None:
        config.data_dir = default_data_dir()
    names = {part: config.hydra.runtime.choices[part] for part in DEPENDENT_PARTS}
    return names, {part: _to_plain(config.get(part)) for part in DEPENDENT_PARTS}


def _to_plain(node: Any) -> dict[str, Any]:
    """Return a node's values; unresolved if one is missing, so that `???` differs from any path."""
    try:
        values = OmegaConf.to_container(node, resolve=True) if node is not None else {}
    except OmegaConfBaseException:
        values = OmegaConf.to_container(node)
    return cast(dict[str, Any], values)


@lru_cache(maxsize=8)
def _default_option(group: str) -> str:
    """Return the option of a group in the defaults list of `config.yaml`."""
    file = load_yaml("config")
    defaults = cast(DictConfig, file.config).get("defaults", []) if file else []
    return next((str(d[group]) for d in defaults if isinstance(d, Mapping) and group in d), "")


def _compare(path: str, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted name → value of each setting that differs."""
    differences: dict[str, Any] = {}
    for key in dict.fromkeys([*defaults, *values]):
        value, default = values.get(key, UNSET), defaults.get(key, UNSET)
        if key in IGNORED or value == default:
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            differences |= _compare(f"{path}.{key}", default, value)
        else:
            differences[f"{path}.{key}"] = value
    return differences


def _shorten_paths(
    differences: Mapping[str, Any], dataset: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield name and file name of each differing setting that is a path (see `card.files`)."""
    for name in (dataset.get("card") or {}).get("files") or []:
        value = differences.get(f"dataset.{name}")
        if isinstance(value, str) and value != UNSET:
            path = os.path.abspath(os.path.expanduser(value))
            yield f"dataset.{name}", os.path.basename(path) or path
