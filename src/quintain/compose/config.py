"""Composes configurations from overrides, and loads single options.

Nothing here imports torch, so that a sweep whose cells all have a result is planned in a second.
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

from quintain.compose.data_hash import content_hash
from quintain.compose.diagnose import CompositionError, diagnose, find_unknown_options
from quintain.compose.fast_compose import FastComposer
from quintain.compose.hydra_compose import COMPOSE_ERRORS, compose_unresolved, load_yaml
from quintain.compose.plugin_providers import (
    available_options,
    find_examples,
    register_search_path,
)
from quintain.compose.source_hash import package_hash, source_hash
from quintain.compose.words import shell_override
from quintain.errors import UsageError

VERSION_BASE = "1.3"
SEED = re.compile(r"seed=\d+")


@dataclass(frozen=True)
class Composition:
    """The resolved configuration of one job.

    Attributes:
        config: the configuration as plain Python values.
        choices: group → the option chosen in it.
        overrides: the job's overrides; None if they do not determine the whole configuration.
        non_defaults: settings that differ from their defaults; `compose.non_defaults` finds them.
    """

    config: dict[str, Any]
    choices: dict[str, str]
    overrides: tuple[str, ...] | None = None
    non_defaults: dict[str, Any] = field(default_factory=dict)


@contextmanager
def hydra_session() -> Iterator[dict[str, dict[str, str]]]:
    """Initialise Hydra, clear all caches of file contents, and yield group → option → provider."""
    register_search_path()
    GlobalHydra.instance().clear()
    for cached in (
        compose_unresolved,
        _compose_or_diagnose,
        fast_composer,
        load_option,
        source_hash,
        package_hash,
        content_hash,
    ):
        cached.cache_clear()
    with initialize_config_module("quintain.conf", version_base=VERSION_BASE):
        yield available_options()


def compose_job(overrides: Sequence[str]) -> Composition:
    """Compose the configuration of one job; it must not be changed, because jobs share parts.

    Hydra needs 0.1 s for a configuration, so it is used only where `FastComposer` cannot be. The
    seed is set afterwards, so that jobs that differ only in their seeds are composed once.

    Raises:
        UsageError: with every problem of the overrides.
    """
    seedless, seed = _split_seed(overrides)
    if composed := fast_composer().compose(seedless):
        config, choices = composed
        return Composition(config | seed, choices, seedless)
    return compose_with_hydra(seedless, seed)


def _split_seed(overrides: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Separate overrides such as `seed=1` from the others; the last one counts."""
    seeds = [text for text in overrides if SEED.fullmatch(text)]
    seedless = tuple(text for text in overrides if text not in seeds)
    return seedless, {"seed": int(seeds[-1].partition("=")[2])} if seeds else {}


def compose_with_hydra(overrides: Sequence[str], seed: dict[str, int]) -> Composition:
    """Compose the configuration of one job with Hydra.

    Raises:
        UsageError: with every problem of the overrides.
    """
    config = _compose_or_diagnose(tuple(overrides))
    if isinstance(config, CompositionError):
        raise config
    config = config.copy()
    config.merge_with(seed)
    return resolve_config(config)


def check_fast_compose(overrides: Sequence[str]) -> None:
    """Compare `FastComposer` with Hydra for one job; if they differ, use Hydra for all jobs."""
    seedless, _ = _split_seed(overrides)
    if (composed := fast_composer().compose(seedless)) is None:
        return
    try:
        expected = compose_with_hydra(seedless, {})
    except UsageError:
        fast_composer().disable()
        return
    expected_json = json.dumps([expected.config, expected.choices], sort_keys=True)
    if json.dumps(composed, sort_keys=True) != expected_json:
        fast_composer().disable()


@lru_cache(maxsize=1)
def fast_composer() -> FastComposer:
    """Return the fast composer of this Hydra session."""
    return FastComposer(default_data_dir())


@lru_cache(maxsize=64)
def _compose_or_diagnose(overrides: tuple[str, ...]) -> DictConfig | CompositionError:
    if problems := find_unknown_options(overrides):
        return diagnose(overrides, UsageError(problems))
    try:
        return compose_unresolved(overrides)
    except COMPOSE_ERRORS as error:
        return diagnose(overrides, error)


def resolve_config(config: DictConfig) -> Composition:
    """Return the composition of a configuration that Hydra composed with its `hydra` node.

    Raises:
        UsageError: a required setting has no value, or an interpolation fails.
    """
    choices = {k: v for k, v in config.hydra.runtime.choices.items() if v and "/" not in k}
    if config.get("data_dir") is None:
        config.data_dir = default_data_dir()
    plain = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        if missing := sorted(OmegaConf.missing_keys(plain)):
            problems = [f"{key} has to be given: {key}=…" for key in missing]
            raise UsageError(problems + find_examples("dataset", choices["dataset"]))
        values = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UsageError(_explain_interpolation(plain, error)) from error
    # With another primary config (--config-name) the overrides are not the whole difference.
    is_complete = config.hydra.job.config_name == "config"
    overrides = tuple(config.hydra.overrides.task) if is_complete else None
    return Composition(cast(dict[str, Any], values), choices, overrides)


def _explain_interpolation(config: DictConfig, error: OmegaConfBaseException) -> str:
    """Return a message about a value with `${…}` that cannot be resolved."""
    name, reason = str(error.full_key), str(error).splitlines()[0]
    value: Any = OmegaConf.to_container(config, resolve=False)
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, str):
        return f"{name}: {reason}"
    hint = shell_override(name, value)
    return f"{name}={value}: {reason}; if these characters are meant, type {hint}"


def default_data_dir() -> str:
    """Return `QUINTAIN_DATA`, or the folder `quintain` in the user's cache folder."""
    return os.environ.get("QUINTAIN_DATA") or str(platformdirs.user_cache_path("quintain"))


@lru_cache(maxsize=64)
def load_option(group: str, name: str) -> dict[str, Any]:
    """Return the configuration of one option; it must not be changed.

    Only an option with a defaults list is composed by Hydra, which takes 0.1 s.
    """
    path = f"{group}/{name}"
    if (file := load_yaml(path)) is not None and "defaults" not in file.config:
        return cast(dict[str, Any], OmegaConf.to_container(file.config, resolve=True))
    values = OmegaConf.to_container(compose(path), resolve=True)
    return cast(dict[str, Any], cast(dict[str, Any], values)[group])
