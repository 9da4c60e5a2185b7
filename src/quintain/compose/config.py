"""From words to configurations: Hydra's compose, and the options that were chosen.

No torch here: planning forty cells that are all in the store takes a second.
"""

from __future__ import annotations

import json
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

from quintain.compose.assemble import Assembler
from quintain.compose.cells import package_hash, source_hash
from quintain.compose.content import content_hash
from quintain.compose.diagnose import Uncomposable, explain, unknown_options
from quintain.compose.errors import UsageError
from quintain.compose.providers import options, register
from quintain.compose.raw import COMPOSE_ERRORS, compose_raw

VERSION_BASE = "1.3"
SEED = re.compile(r"seed=\d+")


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
        assembler,
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

    Hydra takes 0.1 s for it, so the plain case is put together from parts (`compose.assemble`),
    which are shared and not to be changed; and repeats that differ in the seed are composed once.
    """
    seeds = [o for o in overrides if SEED.fullmatch(o)]
    others = tuple(o for o in overrides if not SEED.fullmatch(o))
    seed = {"seed": int(seeds[-1].partition("=")[2])} if seeds else {}
    if assembled := assembler().assemble(others):
        config, choices = assembled
        return Composed(config | seed, choices, others)
    return compose_by_hydra(others, seed)


def compose_by_hydra(overrides: Sequence[str], seed: dict[str, int]) -> Composed:
    """Compose one cell's configuration, whatever form its files and words have."""
    found = _composed(tuple(overrides))
    if isinstance(found, Uncomposable):
        raise found
    config = found.copy()
    config.merge_with(seed)
    return resolved(config)


def agree(overrides: Sequence[str]) -> None:
    """Hold assembling against composing for these words; where they differ, Hydra composes all."""
    words = tuple(o for o in overrides if not SEED.fullmatch(o))
    if (found := assembler().assemble(words)) is None:
        return
    try:
        exact = compose_by_hydra(words, {})
    except UsageError:
        assembler().off()
        return
    if _text(found) != _text((exact.config, exact.choices)):
        assembler().off()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@lru_cache(maxsize=1)
def assembler() -> Assembler:
    """Puts configurations together from the YAML files as they are now."""
    return Assembler(default_data_dir())


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
