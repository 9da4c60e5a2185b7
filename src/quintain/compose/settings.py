"""The part of a configuration that says how and where; none of it decides a result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quintain.compose.cells import PARTS
from quintain.compose.errors import UsageError, nearest

WANDB_MODES = ("auto", "online", "offline", "disabled")
PLACES = ("store", "data_dir", "plugins_dir")
TABLES = {
    "tune": ("trials", "sampler", "pruner", "startup", "seed", "space"),
    "launch": ("workers", "time_limit"),
    "wandb": ("mode", "project", "entity"),
}
KNOWN = (*PARTS, "seed", *PLACES, *TABLES)
"""Every key of `conf/config.yaml`; a test keeps it so."""


@dataclass(frozen=True)
class Settings:
    """How a sweep runs and where it writes."""

    store: Path
    workers: int | None
    time_limit: float | None
    wandb: dict[str, Any]


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Raises UsageError with every problem."""
    if problems := wrong_settings(config):
        raise UsageError(problems)
    return Settings(
        store=Path(os.path.expanduser(config["store"])).absolute(),
        workers=config["launch"]["workers"],
        time_limit=config["launch"]["time_limit"],
        wandb=dict(config["wandb"]),
    )


def wrong_settings(config: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the settings outside the parts: one sentence each."""
    if wrong := [*_wrong_keys("", config, KNOWN), *_wrong_tables(config)]:
        return wrong
    return [*_wrong_launch(config["launch"]), *_wrong_wandb(config["wandb"]), *_wrong_rest(config)]


def _wrong_tables(config: Mapping[str, Any]) -> Iterator[str]:
    for name, keys in TABLES.items():
        if isinstance(config.get(name), dict):
            yield from _wrong_keys(f"{name}.", config[name], keys)
        elif name in config:
            yield f"{name} has settings ({', '.join(keys)}) and no value; came {config[name]!r}"


def _wrong_keys(path: str, node: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in node:
        if key not in known:
            yield f"{path}{key}: there is no such setting{nearest(str(key), known)}"
    for key in known:
        if key not in node:
            yield f"{path}{key} cannot be left out"


def _wrong_launch(launch: Mapping[str, Any]) -> Iterator[str]:
    workers, limit = launch["workers"], launch["time_limit"]
    if workers is not None and (type(workers) is not int or workers < 1):
        yield f"launch.workers must be a whole number above 0 or null, came {workers!r}"
    if limit is not None and (type(limit) not in (int, float) or not limit > 0):
        yield f"launch.time_limit must be seconds above 0 or null, came {limit!r}"


def _wrong_wandb(wandb: Mapping[str, Any]) -> Iterator[str]:
    if wandb["mode"] not in WANDB_MODES:
        yield f"wandb.mode must be one of {', '.join(WANDB_MODES)}; came {wandb['mode']!r}"


def _wrong_rest(config: Mapping[str, Any]) -> Iterator[str]:
    seed, store = config["seed"], config["store"]
    if type(seed) is not int or not 0 <= seed < 2**31:
        yield f"seed must be a whole number from 0 to 2^31 - 1, came {seed!r}"
    if not isinstance(store, str) or not store:
        yield f"store must be the name of a folder, came {store!r}"
    elif "://" in store:
        yield f"store={store}: a URL is taken from the command line only; expected a folder here"
    elif (place := Path(store).expanduser()).exists() and not place.is_dir():
        yield f"store={store} is a file; expected a folder, or a name that is free"
