"""From words to configurations: Hydra's compose, and the options that were chosen.

No torch here: planning forty cells that are all in the store takes a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import platformdirs
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from quintain.compose.cells import package_hash, source_hash
from quintain.compose.content import content_hash
from quintain.compose.diagnose import Uncomposable, explain, unknown_options
from quintain.compose.errors import UsageError
from quintain.compose.providers import options, register
from quintain.compose.raw import COMPOSE_ERRORS, compose_raw

VERSION_BASE = "1.3"


@dataclass(frozen=True)
class Composed:
    """One resolved configuration and the option that was chosen in each group.

    `words` are the overrides that made it, None where they do not tell all; `changed` are the
    settings off their defaults (`compose.changed`), as soon as somebody has looked.
    """

    config: dict[str, Any]
    choices: dict[str, str]
    words: tuple[str, ...] | None = None
    changed: dict[str, Any] = field(default_factory=dict)


@contextmanager
def composer() -> Iterator[dict[str, dict[str, str]]]:
    """Hydra, ready to compose; gives all options (group → name → provider)."""
    register()
    GlobalHydra.instance().clear()
    for remembered in (
        compose_raw,
        _composed,
        option_config,
        source_hash,
        package_hash,
        content_hash,
    ):
        remembered.cache_clear()
    with initialize_config_module("quintain.conf", version_base=VERSION_BASE):
        yield options()


def compose_one(overrides: Sequence[str]) -> Composed:
    """Compose one cell's configuration; raises UsageError with every problem in `overrides`.

    Repeats that differ in the seed alone are composed once: it takes Hydra 0.1 s.
    """
    seeds = [o for o in overrides if re.fullmatch(r"seed=\d+", o)]
    found = _composed(tuple(o for o in overrides if o not in seeds))
    if isinstance(found, Uncomposable):
        raise found
    config = found.copy()
    if seeds:
        config.seed = int(seeds[-1].partition("=")[2])
    return resolved(config)


@lru_cache(maxsize=64)
def _composed(overrides: tuple[str, ...]) -> DictConfig | Uncomposable:
    if unknown := unknown_options(overrides):
        return explain(overrides, UsageError(unknown))
    try:
        return compose_raw(overrides)
    except COMPOSE_ERRORS as error:
        return explain(overrides, error)


def resolved(config: DictConfig) -> Composed:
    """Plain values and choices of what Hydra composed (with its `hydra` node)."""
    choices = {k: v for k, v in config.hydra.runtime.choices.items() if v and "/" not in k}
    if config.get("data_dir") is None:
        config.data_dir = default_data_dir()
    plain = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
    if missing := sorted(OmegaConf.missing_keys(plain)):
        raise UsageError(f"{key} has to be given: {key}=…" for key in missing)
    try:
        values = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UsageError(str(error).splitlines()[0]) from error
    ours = config.hydra.job.config_name == "config"
    words = tuple(config.hydra.overrides.task) if ours else None
    return Composed(cast(dict[str, Any], values), choices, words)


def default_data_dir() -> str:
    """`QUINTAIN_DATA`, or a cache folder of the user's."""
    return os.environ.get("QUINTAIN_DATA") or str(platformdirs.user_cache_path("quintain"))


@lru_cache(maxsize=64)
def option_config(group: str, name: str) -> dict[str, Any]:
    """The configuration of one option alone, its YAML as it stands; not to be changed.

    Only one that has a defaults list is composed: it takes Hydra 0.1 s.
    """
    path = f"{group}/{name}"
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.is_config(path) and "defaults" not in (own := source.load_config(path).config):
            return cast(dict[str, Any], OmegaConf.to_container(own, resolve=True))
    config = OmegaConf.to_container(compose(path), resolve=True)
    return cast(dict[str, Any], cast(dict[str, Any], config)[group])
