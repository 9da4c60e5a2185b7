"""From words to configurations: Hydra's compose, its sweep syntax, and errors for people.

No torch here: planning forty cells that are all in the store takes a second.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import platformdirs
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from quintain.compose.errors import UsageError, nearest
from quintain.compose.providers import options, register

VERSION_BASE = "1.3"


@dataclass(frozen=True)
class Composed:
    """One resolved configuration and the option that was chosen in each group."""

    config: dict[str, Any]
    choices: dict[str, str]


@contextmanager
def composer() -> Iterator[dict[str, dict[str, str]]]:
    """Hydra, ready to compose; gives all options (group → name → provider)."""
    register()
    GlobalHydra.instance().clear()
    _compose.cache_clear()
    with initialize_config_module("quintain.conf", version_base=VERSION_BASE):
        yield options()


def compose_one(overrides: Sequence[str]) -> Composed:
    """Compose one cell's configuration; raises UsageError with every problem in `overrides`.

    Repeats that differ in the seed alone are composed once: it takes Hydra 0.1 s.
    """
    seeds = [o for o in overrides if re.fullmatch(r"seed=\d+", o)]
    config = _compose(tuple(o for o in overrides if o not in seeds)).copy()
    if seeds:
        config.seed = int(seeds[-1].partition("=")[2])
    return resolved(config)


@lru_cache(maxsize=64)
def _compose(overrides: tuple[str, ...]) -> DictConfig:
    try:
        return compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(_problems(overrides, error)) from error


def resolved(config: DictConfig) -> Composed:
    """Plain values and choices of what Hydra composed (with its `hydra` node)."""
    choices = {k: v for k, v in config.hydra.runtime.choices.items() if v and "/" not in k}
    if config.data_dir is None:
        config.data_dir = default_data_dir()
    plain = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
    try:
        values = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UsageError(str(error).splitlines()[0]) from error
    return Composed(cast(dict[str, Any], values), choices)


def default_data_dir() -> str:
    """`QUINTAIN_DATA`, or a cache folder of the user's."""
    return os.environ.get("QUINTAIN_DATA") or str(platformdirs.user_cache_path("quintain"))


def option_config(group: str, name: str) -> dict[str, Any]:
    """The configuration of one option alone."""
    config = OmegaConf.to_container(compose(f"{group}/{name}"), resolve=True)
    return cast(dict[str, Any], cast(dict[str, Any], config)[group])


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Hydra's sweep syntax (`a=1,2`, `glob(*)`, `range`, `choice`), one list of overrides a job.

    A suite's own `hydra.sweeper.params` join in; what the command line says replaces them.
    """
    parsed = _parse(overrides)
    fixed = [o.input_line or "" for o in parsed if not o.is_sweep_override()]
    sweeper = _sweeper_parameters(fixed)
    said = {o.key_or_group for o in parsed}
    added = _parse([f"{k}={v}" for k, v in sweeper.items() if k not in said])
    return [list(job) for job in itertools.product(*map(_values, [*parsed, *added]))]


def _sweeper_parameters(overrides: Sequence[str]) -> dict[str, Any]:
    config = _compose(tuple(overrides))
    return dict(config.hydra.sweeper.params or {})


def _parse(overrides: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed, problems = [], []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except OverrideParseException:
            problems.append(f"{text!r} is no setting; expected key=value, as in model=lstm")
    if problems:
        raise UsageError(problems)
    return parsed


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [override.input_line or ""]
    if not override.is_discrete_sweep():
        raise UsageError(f"{override.input_line}: an interval cannot be swept; list its values")
    key = override.get_key_element()
    values = override.sweep_string_iterator()
    swept = [f"{key}={value}" for value in values]
    if not swept:
        raise UsageError(f"{override.input_line} matches no option")
    return swept


def _problems(overrides: Sequence[str], error: Exception) -> list[str]:
    """Each override that is wrong by itself, beside the good ones; else Hydra's own words."""
    known = options()
    groups = [o for o in overrides if _group(o) in known]
    found = [text for o in overrides if (text := _unknown_option(o, known))]
    good = [o for o in groups if not _unknown_option(o, known)]
    for override in overrides:
        if override in groups:
            continue
        try:
            compose("config", [*good, override])
        except (HydraException, OmegaConfBaseException) as alone:
            found.append(_sentence(override, alone, good))
    return found or [_first_line(error)]


def _group(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _unknown_option(override: str, known: dict[str, dict[str, str]]) -> str:
    group, _, name = override.partition("=")
    group = group.lstrip("+~")
    if group not in known or not re.fullmatch(r"[\w./-]+", name) or name in known[group]:
        return ""
    if name == "null" and group == "suite":
        return ""
    return f"{group}={name}: there is no such {group}{nearest(name, known[group])}"


def _sentence(override: str, error: Exception, good: Sequence[str]) -> str:
    key = _group(override)
    if "not in struct" not in str(error) and "Key" not in str(error):
        return f"{override}: {_first_line(error)}"
    try:
        node: Any = compose("config", list(good))
        *parents, last = key.split(".")
        for parent in parents:
            node = node[parent]
        hint = nearest(last, [str(k) for k in node if not str(k).startswith("_")])
    except (HydraException, OmegaConfBaseException, TypeError):
        return f"{override}: {_first_line(error)}"
    return f"{override}: there is no setting {key}{hint} (a setting that YAML omits: +{override})"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
