"""Puts a configuration together from parts that are read once, where that is as Hydra would do it.

Hydra takes 0.1 s for each configuration, a plan of ten thousand cells has a thousand of them, and
their parts are alike. Here each YAML file is read once, and each part (`dataset`, `model`, …) is
merged once for the files and words that touch it; configurations share the equal parts.

Only the plain case is done: groups that `config.yaml` lists, options whose defaults lists only
override other groups, words like `group=option` and `a.b=value`, and interpolations of one plain
value. Whatever else comes, `Assembler.assemble` gives None, and Hydra composes. Tests hold both
against each other, and so does each plan for its first cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from quintain.compose.raw import COMPOSE_ERRORS

MISSING = "???"
REFERENCE = re.compile(r"\$\{([a-z_]\w*(?:\.[a-z_]\w*)*)\}")
SCALARS = (bool, int, float, str, type(None))

Plain = dict[str, Any]


class Unusual(Exception):
    """Not the plain case: Hydra has to compose it."""


@dataclass(frozen=True)
class Word:
    """A setting of the command line: where, and what."""

    text: str
    path: tuple[str, ...]
    value: Any


@dataclass(frozen=True)
class Option:
    """One YAML file: what it puts under which top-level keys, and the groups that it overrides."""

    path: str
    nodes: Plain
    overrides: dict[str, str]


class Assembler:
    """Configurations of one set of YAML files; to be made anew when they may have changed.

    Args:
        data_dir: what stands for the `data_dir` that nobody gave.
    """

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._merged: dict[Any, Any] = {}
        self._resolved: dict[Any, tuple[Any, Any]] = {}
        self._option, self._word = cache(_option), cache(setting)
        try:
            self._root, self._groups, self._usual = _root()
        except (Unusual, KeyError, *COMPOSE_ERRORS):
            self._groups = ()

    def assemble(self, words: Sequence[str]) -> tuple[Plain, dict[str, str]] | None:
        """Configuration and choices, or None where it is not the plain case, or is wrong.

        Parts are shared between configurations and not to be changed.
        """
        try:
            return self._assemble(words) if self._groups else None
        except (Unusual, KeyError, *COMPOSE_ERRORS):
            return None

    def off(self) -> None:
        """Assemble nothing from now on."""
        self._groups = ()

    def _assemble(self, words: Sequence[str]) -> tuple[Plain, dict[str, str]]:
        said, settings = self._sorted(words)
        choices, options = self._choose(said)
        raw: Plain = {}
        for key in dict.fromkeys(key for option in options for key in option.nodes):
            touching = tuple(word for word in settings if word.path[0] == key)
            files = tuple(option.path for option in options if key in option.nodes)
            name = key, files, tuple(word.text for word in touching)
            if name not in self._merged:
                self._merged[name] = _merge_all(key, options, touching)
            raw[key] = self._merged[name]
        if any(word.path[0] not in raw for word in settings):
            raise Unusual
        if raw.get("data_dir") is None:
            raw["data_dir"] = self._data_dir
        return {key: self._resolve(node, raw) for key, node in raw.items()}, choices

    def _sorted(self, words: Sequence[str]) -> tuple[dict[str, Any], list[Word]]:
        """Group → option that was said, and the settings."""
        said, settings = {}, []
        for text in words:
            word = self._word(text)
            if word.path[0] in self._groups:
                if len(word.path) > 1:
                    settings.append(word)
                elif word.path[0] in said:
                    raise Unusual
                else:
                    said[word.path[0]] = word.value
            else:
                settings.append(word)
        return said, settings

    def _choose(self, said: dict[str, Any]) -> tuple[dict[str, str], list[Option]]:
        """The option of each group, and all files in the order in which they are merged.

        The later a group stands in `config.yaml`, the earlier Hydra looks what it overrides; what
        was said first stays.
        """
        chosen, options = dict(said), {}
        for index in reversed(range(len(self._groups))):
            group = self._groups[index]
            name = chosen.get(group, self._usual[group])
            if name is None and group == "suite":
                continue
            if not isinstance(name, str) or name == MISSING:
                raise Unusual
            options[group] = option = self._option(group, name)
            chosen[group] = name
            for other, choice in option.overrides.items():
                if other not in self._groups[:index]:
                    raise Unusual
                chosen.setdefault(other, choice)
        groups = [group for group in self._groups if group in options]
        found = [options[group] for group in groups if group != "suite"] + [self._root]
        found += [options["suite"]] if "suite" in options else []
        return {group: chosen[group] for group in groups}, found

    def _resolve(self, node: Any, raw: Plain) -> Any:
        """A merged part with its interpolations filled in."""
        name = id(node)
        if not isinstance(node, dict | list | str):
            return node
        if name not in self._resolved or self._resolved[name][0] is not node:
            self._resolved[name] = node, tuple(dict.fromkeys(_references(node)))
        references = self._resolved[name][1]
        if not references:
            return node
        values = tuple(_select(raw, reference) for reference in references)
        key = name, values, tuple(map(type, values))
        if key not in self._resolved:
            table = dict(zip(references, values, strict=True))
            self._resolved[key] = node, _filled(node, table)
        return self._resolved[key][1]


def _root() -> tuple[Option, tuple[str, ...], dict[str, str | None]]:
    """`config.yaml`: what it sets itself, its groups in their order, and the usual options.

    Raises:
        Unusual: its defaults list has another form than that of Quintain's.
    """
    plain = _load("config")[0]
    usual: dict[str, str | None] = {}
    entries = [e for e in plain.pop("defaults") if not str(e).startswith("{'override hydra/")]
    last_two = entries[-2:]
    if last_two != ["_self_", {"optional suite": None}]:
        raise Unusual
    for entry in entries[:-2]:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise Unusual
        ((group, option),) = entry.items()
        if " " in group or "/" in group or "@" in group:
            raise Unusual
        usual[group] = option
    plain.pop("hydra", None)
    usual["suite"] = None
    return Option("config", plain, {}), tuple(usual), usual


def _option(group: str, name: str) -> Option:
    path = f"{group}/{name}"
    plain, package = _load(path)
    overrides: dict[str, str] = {}
    for entry in plain.pop("defaults", None) or []:
        if entry == "_self_":
            continue
        if not isinstance(entry, dict) or len(entry) != 1:
            raise Unusual
        ((key, option),) = entry.items()
        keyword, _, other = str(key).partition(" /")
        if keyword != "override" or not isinstance(option, str) or not other.isidentifier():
            raise Unusual
        if overrides.setdefault(other, option) != option:
            raise Unusual
    if package == "_global_":
        plain.pop("hydra", None)
        return Option(path, plain, overrides)
    if package not in (None, group) or "/" in name:
        raise Unusual
    return Option(path, {group: plain}, overrides)


def _load(path: str) -> tuple[Plain, str | None]:
    """A YAML file's values and the package that its header names."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.is_config(path):
            if source.scheme() not in ("file", "pkg"):
                raise Unusual
            loaded = source.load_config(path)
            plain = OmegaConf.to_container(loaded.config, resolve=False)
            defaults = loaded.defaults_list
            if not isinstance(plain, dict):
                raise Unusual
            if defaults:
                plain["defaults"] = _plain_list(defaults)
            return cast(Plain, plain), loaded.header.get("package")
    raise Unusual


def _plain_list(defaults: Any) -> list[Any]:
    return [e if isinstance(e, str) else OmegaConf.to_container(e) for e in defaults]


def setting(text: str) -> Word:
    """One word of the command line, `key=value` with a plain value; raises Unusual for others."""
    try:
        (parsed,) = OverridesParser.create().parse_overrides([text])
    except COMPOSE_ERRORS as error:
        raise Unusual from error
    path = tuple(parsed.key_or_group.split("."))
    plain = parsed.package is None and not parsed.is_sweep_override()
    plain &= not (parsed.is_add() or parsed.is_force_add() or parsed.is_delete())
    if not plain or "/" in parsed.key_or_group or path[0] == "hydra" or "" in path:
        raise Unusual
    value = parsed.value()
    if not _is_plain(value):
        raise Unusual
    return Word(text, path, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, SCALARS) and not (
        isinstance(value, str) and ("$" in value or value == MISSING)
    )


def _merge_all(key: str, options: Sequence[Option], words: Sequence[Word]) -> Any:
    """What stands under a top-level key when all files and then the words have had their say."""
    node: Any = None
    for index, option in enumerate(o for o in options if key in o.nodes):
        node = option.nodes[key] if index == 0 else _merge(node, option.nodes[key])
    for word in words:
        node = _set(node, word.path[1:], word.value)
    return node


def _merge(below: Any, above: Any) -> Any:
    """As OmegaConf merges: key by key where both are dicts, else the upper one."""
    if isinstance(above, dict) and isinstance(below, str):
        raise Unusual  # it may refer to a dict
    if not isinstance(below, dict) or not isinstance(above, dict):
        return below if above == MISSING else above
    merged = dict(below)
    for key, value in above.items():
        merged[key] = _merge(below[key], value) if key in below else value
    return merged


def _set(node: Any, path: tuple[str, ...], value: Any) -> Any:
    """A node with one value of it replaced; the node itself stays as it is."""
    if not path:
        if isinstance(node, dict):
            raise Unusual
        return value
    if not isinstance(node, dict) or path[0] not in node:
        raise Unusual  # Hydra says what is wrong with it
    return node | {path[0]: _set(node[path[0]], path[1:], value)}


def _references(node: Any) -> Iterator[str]:
    """The names in all `${name}` of a node."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str) or "$" in key:
                raise Unusual
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
    elif isinstance(node, str):
        if node == MISSING or "$" in REFERENCE.sub("", node) or "\\$" in node:
            raise Unusual
        yield from REFERENCE.findall(node)


def _select(raw: Plain, reference: str) -> Any:
    if reference == "seed":
        raise Unusual  # repeats are assembled once, and their seed is put in afterwards
    node: Any = raw
    for step in reference.split("."):
        node = node[step] if isinstance(node, dict) and step in node else _unusual()
    if not isinstance(node, SCALARS) or (isinstance(node, str) and ("$" in node or "\\" in node)):
        raise Unusual
    return node


def _unusual() -> NoReturn:
    raise Unusual


def _filled(node: Any, table: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, table) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, table) for value in node]
    if not isinstance(node, str) or "$" not in node:
        return node
    if whole := REFERENCE.fullmatch(node):
        return table[whole[1]]
    if any(not isinstance(table[name], str | int) for name in REFERENCE.findall(node)):
        raise Unusual
    return REFERENCE.sub(lambda found: str(table[found[1]]), node)
