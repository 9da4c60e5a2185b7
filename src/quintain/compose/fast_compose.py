"""Composes configurations from cached parts, with the same result as Hydra's compose.

Hydra needs 0.1 s for each configuration, and a plan of ten thousand cells has a thousand of them.
Here each YAML file is read once, and each part (`dataset`, `model`, …) is merged once for the files
and overrides that set something in it; configurations share equal parts.

Only plain configurations are composed: groups that `config.yaml` lists, options whose defaults
lists only override other groups, overrides such as `group=option` and `a.b=value`, and
interpolations of one plain value. For others `FastComposer.compose` returns None, and Hydra is
used. Tests compare both, and so does each plan for its first cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from quintain.compose.hydra_compose import COMPOSE_ERRORS, load_yaml

MISSING = "???"  # OmegaConf's value of a required setting
INTERPOLATION = re.compile(r"\$\{([a-z_]\w*(?:\.[a-z_]\w*)*)\}")
SCALARS = (bool, int, float, str, type(None))

Plain = dict[str, Any]


class NotPlain(Exception):
    """A configuration, file or override is not plain, so that Hydra has to compose it."""


@dataclass(frozen=True)
class PlainOverride:
    """An override `a.b=value`; its path is `("a", "b")`."""

    text: str
    path: tuple[str, ...]
    value: Any


@dataclass(frozen=True)
class Option:
    """One YAML file: its values below each top-level key, and the groups that it overrides."""

    path: str
    nodes: Plain
    overrides: dict[str, str]


class FastComposer:
    """Composes configurations; `data_dir` is the value of `data_dir` if it is not set."""

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._merged: dict[Any, Any] = {}
        self._interpolations: dict[int, tuple[Any, tuple[str, ...]]] = {}  # node and names, by id
        self._resolved: dict[Any, Any] = {}
        self._load_option, self._parse = cache(_load_option), cache(parse_plain_override)
        try:
            self._root, self._groups, self._defaults = _load_root()
        except (NotPlain, KeyError, *COMPOSE_ERRORS):
            self._groups = ()

    def compose(self, overrides: Sequence[str]) -> tuple[Plain, dict[str, str]] | None:
        """Return configuration and choices, or None if they are not plain or not valid.

        The configuration must not be changed, because configurations share parts.
        """
        try:
            return self._compose(overrides) if self._groups else None
        except (NotPlain, KeyError, *COMPOSE_ERRORS):
            return None

    def disable(self) -> None:
        """Make `compose` return None from now on."""
        self._groups = ()

    def _compose(self, overrides: Sequence[str]) -> tuple[Plain, dict[str, str]]:
        requested, settings = self._split(overrides)
        choices, options = self._choose(requested)
        config: Plain = {}
        for key in dict.fromkeys(key for option in options for key in option.nodes):
            own_settings = [setting for setting in settings if setting.path[0] == key]
            files = tuple(option.path for option in options if key in option.nodes)
            identity = key, files, tuple(setting.text for setting in own_settings)
            if identity not in self._merged:
                self._merged[identity] = _merge_all(key, options, own_settings)
            config[key] = self._merged[identity]
        if any(setting.path[0] not in config for setting in settings):
            raise NotPlain
        if config.get("data_dir") is None:
            config["data_dir"] = self._data_dir
        return {key: self._resolve(node, config) for key, node in config.items()}, choices

    def _split(self, overrides: Sequence[str]) -> tuple[dict[str, Any], list[PlainOverride]]:
        """Split overrides into the requested option of each group, and settings."""
        requested, settings = {}, []
        for override in map(self._parse, overrides):
            group = override.path[0]
            if group not in self._groups or len(override.path) > 1:
                settings.append(override)
            elif group in requested:
                raise NotPlain
            else:
                requested[group] = override.value
        return requested, settings

    def _choose(self, requested: dict[str, Any]) -> tuple[dict[str, str], list[Option]]:
        """Return the option of each group, and all files in the order in which they are merged.

        As in Hydra, the overrides of a later group in `config.yaml` take precedence.
        """
        choices, options = dict(requested), {}
        for index in reversed(range(len(self._groups))):
            group = self._groups[index]
            name = choices.get(group, self._defaults[group])
            if name is None and group == "suite":
                continue
            if not isinstance(name, str) or name == MISSING:
                raise NotPlain
            options[group] = option = self._load_option(group, name)
            choices[group] = name
            for overridden, choice in option.overrides.items():
                if overridden not in self._groups[:index]:
                    raise NotPlain
                choices.setdefault(overridden, choice)
        groups = [group for group in self._groups if group in options]
        files = [options[group] for group in groups if group != "suite"] + [self._root]
        files += [options["suite"]] if "suite" in options else []
        return {group: choices[group] for group in groups}, files

    def _resolve(self, node: Any, config: Plain) -> Any:
        """Return a merged part with its interpolations replaced by values."""
        if not isinstance(node, dict | list | str):
            return node
        if id(node) not in self._interpolations:
            self._interpolations[id(node)] = node, tuple(dict.fromkeys(_interpolations(node)))
        _, names = self._interpolations[id(node)]
        if not names:
            return node
        values = tuple(_select(config, name) for name in names)
        key = id(node), values, tuple(map(type, values))
        if key not in self._resolved:
            self._resolved[key] = _interpolate(node, dict(zip(names, values, strict=True)))
        return self._resolved[key]


def _load_root() -> tuple[Option, tuple[str, ...], dict[str, str | None]]:
    """Return the values of `config.yaml`, its groups in their order, and their default options."""
    plain, _ = _load("config")
    defaults: dict[str, str | None] = {}
    entries = [e for e in plain.pop("defaults") if not str(e).startswith("{'override hydra/")]
    if entries[-2:] != ["_self_", {"optional suite": None}]:
        raise NotPlain
    for entry in entries[:-2]:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise NotPlain
        ((group, option),) = entry.items()
        if any(character in group for character in " /@"):
            raise NotPlain
        defaults[group] = option
    plain.pop("hydra", None)
    defaults["suite"] = None
    return Option("config", plain, {}), tuple(defaults), defaults


def _load_option(group: str, name: str) -> Option:
    path = f"{group}/{name}"
    plain, package = _load(path)
    overrides: dict[str, str] = {}
    for entry in plain.pop("defaults", None) or []:
        if entry == "_self_":
            continue
        if not isinstance(entry, dict) or len(entry) != 1:
            raise NotPlain
        ((key, option),) = entry.items()
        keyword, _, overridden = str(key).partition(" /")
        if keyword != "override" or not isinstance(option, str) or not overridden.isidentifier():
            raise NotPlain
        if overrides.setdefault(overridden, option) != option:
            raise NotPlain
    if package == "_global_":
        plain.pop("hydra", None)
        return Option(path, plain, overrides)
    if package not in (None, group) or "/" in name:
        raise NotPlain
    return Option(path, {group: plain}, overrides)


def _load(path: str) -> tuple[Plain, str | None]:
    """Return a YAML file's values, and the package in its header (`# @package _global_`)."""
    file = load_yaml(path)
    if file is None or not file.path.startswith(("file://", "pkg://")):
        raise NotPlain
    values = OmegaConf.to_container(file.config, resolve=False)
    if not isinstance(values, dict):
        raise NotPlain
    return cast(Plain, values), file.header.get("package")


def parse_plain_override(text: str) -> PlainOverride:
    """Parse one override `key=value` with a plain value; raises NotPlain for any other."""
    try:
        (override,) = OverridesParser.create().parse_overrides([text])
    except COMPOSE_ERRORS as error:
        raise NotPlain from error
    path = tuple(override.key_or_group.split("."))
    is_plain = override.package is None and not override.is_sweep_override()
    is_plain &= not (override.is_add() or override.is_force_add() or override.is_delete())
    if not is_plain or "/" in override.key_or_group or path[0] == "hydra" or "" in path:
        raise NotPlain
    value = override.value()
    if not _is_plain(value):
        raise NotPlain
    return PlainOverride(text, path, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, SCALARS) and not (
        isinstance(value, str) and ("$" in value or value == MISSING)
    )


def _merge_all(key: str, options: Sequence[Option], settings: Sequence[PlainOverride]) -> Any:
    """Return the value of a top-level key after all files and then all settings."""
    nodes = [option.nodes[key] for option in options if key in option.nodes]
    merged = nodes[0]
    for node in nodes[1:]:
        merged = _merge(merged, node)
    for setting in settings:
        merged = _set(merged, setting.path[1:], setting.value)
    return merged


def _merge(lower: Any, upper: Any) -> Any:
    """Merge as OmegaConf does: key by key if both are dicts, else return the upper value."""
    if isinstance(upper, dict) and isinstance(lower, str):
        raise NotPlain  # the text may be an interpolation of a dict
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return lower if upper == MISSING else upper
    merged = dict(lower)
    for key, value in upper.items():
        merged[key] = _merge(lower[key], value) if key in lower else value
    return merged


def _set(node: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return a copy of a node with one value replaced."""
    if not path:
        if isinstance(node, dict):
            raise NotPlain
        return value
    if not isinstance(node, dict) or path[0] not in node:
        raise NotPlain  # Hydra reports the problem
    return node | {path[0]: _set(node[path[0]], path[1:], value)}


def _interpolations(node: Any) -> Iterator[str]:
    """Yield the names in all `${name}` of a node."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str) or "$" in key:
                raise NotPlain
            yield from _interpolations(value)
    elif isinstance(node, list):
        for value in node:
            yield from _interpolations(value)
    elif isinstance(node, str):
        if node == MISSING or "$" in INTERPOLATION.sub("", node) or "\\$" in node:
            raise NotPlain
        yield from INTERPOLATION.findall(node)


def _select(config: Plain, name: str) -> Any:
    """Return the plain value that an interpolation refers to."""
    if name == "seed":
        raise NotPlain  # the seed is set after composition
    node: Any = config
    for step in name.split("."):
        if not isinstance(node, dict) or step not in node:
            raise NotPlain
        node = node[step]
    if not isinstance(node, SCALARS) or (isinstance(node, str) and ("$" in node or "\\" in node)):
        raise NotPlain
    return node


def _interpolate(node: Any, table: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _interpolate(value, table) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolate(value, table) for value in node]
    if not isinstance(node, str) or "$" not in node:
        return node
    if whole := INTERPOLATION.fullmatch(node):
        return table[whole[1]]
    if any(not isinstance(table[name], str | int) for name in INTERPOLATION.findall(node)):
        raise NotPlain
    return INTERPOLATION.sub(lambda match: str(table[match[1]]), node)
