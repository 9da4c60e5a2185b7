"""Which settings of a cell are off their defaults: a leaderboard shows them, whoever set them.

The default is what the YAML files say when dataset and model are chosen and nothing else: what a
dataset sets of its stem is a default; what a suite or the command line sets is not. Values are
compared: `optimizer.lr=0.003` where that is the default changes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from quintain.compose.cells import PARTS
from quintain.compose.config import Composed, assembler, default_data_dir, option_config
from quintain.compose.raw import COMPOSE_ERRORS, compose_raw

Nodes = dict[str, dict[str, Any]]

BOUND = ("dataset", "stem", "head", "model", "optimizer")
"""Parts that a dataset or a model may set, too; budget and hardware are as their own YAML says."""

UNSET = "unset"
_NOT_SETTINGS = ("card", "data_dir")


def changed(composed: Composed) -> dict[str, Any]:
    """The settings off their defaults: `{"optimizer.lr": 0.001}`, `{"stem": "mine"}` for a choice.

    Of a file or folder of the user's it gives the last part of the path: a record tells nobody
    where on a machine it lies. Hydra must be up.
    """
    choices = composed.choices
    names, nodes = _defaults(composed)
    found: dict[str, Any] = {}
    for part in PARTS:
        if part in names and names[part] != choices[part]:
            found[part] = choices[part]
            nodes.pop(part, None)
        if part in nodes or part not in BOUND or part in found:
            base = nodes[part] if part in nodes else option_config(part, choices[part])
            found |= _differences(part, base, composed.config[part])
    if composed.config["measure"] == "speed":
        found["measure"] = "speed"
    return found | dict(_files(found, composed.config["dataset"]))


def _defaults(composed: Composed) -> tuple[dict[str, str], Nodes]:
    """Choices by default, and the nodes of the bound parts; of those nothing, if nobody set any.

    To compose takes Hydra 0.15 s, so it is left out where no word and no suite can make a
    difference.
    """
    if not _sets_bound(composed.words) and not _suite_sets(composed.choices.get("suite")):
        return {"budget": _usual("budget")}, {}
    try:
        names, nodes = _composed(composed.choices["dataset"], composed.choices["model"])
    except COMPOSE_ERRORS:  # the dataset brings no stem: it cannot be without a word
        names = {}
        nodes = {p: option_config(p, composed.choices[p]) for p in BOUND if p != "dataset"}
    return {"budget": _usual("budget"), **names}, dict(nodes)


def _sets_bound(words: tuple[str, ...] | None) -> bool:
    if words is None:
        return True
    keys = [re.split(r"[=@]", word.lstrip("+~"), maxsplit=1)[0] for word in words]
    return any(key.split(".")[0] in BOUND and key not in ("dataset", "model") for key in keys)


@lru_cache(maxsize=64)
def _suite_sets(suite: str | None) -> bool:
    """Whether a suite chooses or sets a bound part, be it to what is the default without it.

    (A dataset's own default of that may be another.) One that builds on other suites may.
    """
    for source in GlobalHydra.instance().config_loader().get_sources():
        if suite is not None and source.is_config(f"suite/{suite}"):
            own = cast(DictConfig, source.load_config(f"suite/{suite}").config)
            groups = [_group(default) for default in own.get("defaults", [])]
            return any(part in own or part in groups for part in BOUND) or "suite" in groups
    return False


def _group(default: Any) -> str:
    """`override /stem: rows` → `stem`; of what has another form `suite`: who knows what it sets."""
    if default == "_self_":
        return ""
    found = re.fullmatch(r"(?:override )?/?(\w+)(?:@.*)?", next(iter(default), ""))
    return found[1] if isinstance(default, Mapping) and found else "suite"


@lru_cache(maxsize=4096)
def _composed(dataset: str, model: str) -> tuple[dict[str, str], Nodes]:
    words = f"dataset={dataset}", f"model={model}"
    if assembled := assembler().assemble(words):
        plain, choices = assembled
        return {part: choices[part] for part in BOUND}, {part: plain[part] for part in BOUND}
    config = compose_raw(words).copy()
    if config.get("data_dir") is None:
        config.data_dir = default_data_dir()
    names = {part: config.hydra.runtime.choices[part] for part in BOUND}
    return names, {part: _plain(config, part) for part in BOUND}


def _plain(config: DictConfig, part: str) -> dict[str, Any]:
    """A part's values; with what cannot be resolved, such as a value still to be given, as it is.

    So `path: ???` differs from every path.
    """
    node = config.get(part)
    try:
        found = OmegaConf.to_container(node, resolve=True) if node is not None else {}
    except OmegaConfBaseException:
        found = OmegaConf.to_container(node)
    return cast(dict[str, Any], found)


@lru_cache(maxsize=8)
def _usual(group: str) -> str:
    """The option that `config.yaml` chooses of a group."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.is_config("config"):
            config = cast(DictConfig, source.load_config("config").config)
            for default in config.get("defaults", []):
                if isinstance(default, Mapping) and group in default:
                    return str(default[group])
    return ""


def _differences(path: str, base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in dict.fromkeys([*base, *own]):
        mine, usual = own.get(key, UNSET), base.get(key, UNSET)
        if key in _NOT_SETTINGS or mine == usual:
            continue
        if isinstance(mine, Mapping) and isinstance(usual, Mapping):
            found |= _differences(f"{path}.{key}", usual, mine)
        else:
            found[f"{path}.{key}"] = mine
    return found


def _files(found: Mapping[str, Any], dataset: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The user's files among the settings, by the last part of their paths."""
    for name in (dataset.get("card") or {}).get("files") or []:
        value = found.get(f"dataset.{name}")
        if isinstance(value, str) and value != UNSET:
            path = os.path.abspath(os.path.expanduser(value))
            yield f"dataset.{name}", os.path.basename(path) or path
