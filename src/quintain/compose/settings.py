"""The names of a configuration's parts, and checks of all settings outside the parts.

A part is one config group, such as `model`. The settings outside the parts say how and where cells
run; except for `seed` and `measure`, they do not change results.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quintain.errors import UsageError, nearest

PARTS = ("dataset", "stem", "head", "model", "optimizer", "budget", "hardware")
MEASURES = ("quality", "speed")

WANDB_MODES = ("auto", "online", "offline", "disabled")
EXECUTORS = ("local", "slurm", "ray")
LOCATIONS = ("store", "data_dir", "plugins_dir")
RUN_LIMITS = {"time_limit": "seconds", "memory_limit": "MiB", "hang_limit": "seconds"}
SWEEP_LIMITS = ("max_hours", "max_kwh")
TABLES = {
    "tune": ("trials", "sampler", "pruner", "startup", "seed", "space"),
    "launch": (
        "executor", "workers", *RUN_LIMITS, "grace", "checkpoint_every", "detach", "slurm", "ray",
    ),
    "wandb": ("mode", "project", "entity"),
}  # fmt: skip
"""Top-level settings that are mappings, and the keys of each."""
CLUSTER_TABLES = {
    "slurm": ("partition", "account", "qos", "time", "memory", "cpus", "gres", "setup", "extra"),
    "ray": ("address",),
}
"""Settings of `launch` that are mappings, and the keys of each."""
EXECUTION_SETTINGS = (*LOCATIONS, *TABLES, *SWEEP_LIMITS)
TOP_LEVEL_SETTINGS = (*PARTS, "seed", "measure", "sweep", *EXECUTION_SETTINGS)
"""Every key of `conf/config.yaml`; a test compares them."""


@dataclass(frozen=True)
class Settings:
    """How and where a sweep runs; `config` has the same settings as in the configuration."""

    store: Path
    workers: int | None
    time_limit: float | None
    wandb: dict[str, Any]
    memory_limit: float | None = None
    hang_limit: float | None = None
    grace: float = 30.0
    checkpoint_every: float | None = 600.0
    executor: str = "local"
    detach: bool = False
    slurm: dict[str, Any] = field(default_factory=dict)
    ray: dict[str, Any] = field(default_factory=dict)
    max_hours: float | None = None
    max_kwh: float | None = None
    config: dict[str, Any] = field(default_factory=dict)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Return the settings of a configuration.

    Raises:
        UsageError: with every problem of the settings outside the parts.
    """
    if problems := find_setting_problems(config):
        raise UsageError(problems)
    return Settings(
        store=Path(os.path.expanduser(config["store"])).absolute(),
        wandb=dict(config["wandb"]),
        **config["launch"],
        max_hours=config["max_hours"],
        max_kwh=config["max_kwh"],
        config={name: config[name] for name in EXECUTION_SETTINGS},
    )


def find_setting_problems(config: Mapping[str, Any]) -> list[str]:
    """Return one message for each problem of the settings outside the parts."""
    problems = [
        *_find_key_problems("", config, TOP_LEVEL_SETTINGS),
        *_find_table_problems("", config, TABLES),
    ]
    if isinstance(config.get("launch"), dict):
        problems += _find_table_problems("launch.", config["launch"], CLUSTER_TABLES)
    return problems or [*_find_value_problems(config)]


def _find_table_problems(
    path: str, node: Mapping[str, Any], tables: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for name, keys in tables.items():
        if isinstance(node.get(name), dict):
            yield from _find_key_problems(f"{path}{name}.", node[name], keys)
        elif name in node:
            known = ", ".join(keys)
            yield f"{path}{name} must be a table of settings ({known}); got {node[name]!r}"


def _find_key_problems(path: str, node: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in node:
        if key not in known:
            yield f"{path}{key}: there is no such setting{nearest(str(key), known)}"
    for key in known:
        if key not in node:
            yield f"{path}{key} cannot be left out"


def _is_int(value: Any, minimum: int) -> bool:
    return type(value) is int and value >= minimum


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def _is_positive_or_null(value: Any) -> bool:
    return value is None or (_is_number(value) and value != 0)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "launch.workers": (lambda v: v is None or _is_int(v, 1), "a whole number above 0 or null"),
    **{
        f"launch.{name}": (_is_positive_or_null, f"{unit} above 0 or null")
        for name, unit in RUN_LIMITS.items()
    },
    "launch.grace": (_is_number, "seconds, 0 or above"),
    "launch.checkpoint_every": (
        lambda v: v is None or _is_number(v),
        "seconds, 0 or above, or null",
    ),
    "launch.executor": (lambda v: v in EXECUTORS, f"one of {', '.join(EXECUTORS)}"),
    "launch.detach": (lambda v: type(v) is bool, "true or false"),
    "launch.slurm.time": (lambda v: _is_int(v, 1), "a whole number of minutes above 0"),
    "launch.slurm.cpus": (
        lambda v: v is None or _is_int(v, 1),
        "a whole number of cores above 0 or null",
    ),
    **{
        f"launch.slurm.{name}": (_is_text_or_null, "a string for sbatch, or null")
        for name in ("partition", "account", "qos", "memory", "gres")
    },
    "launch.slurm.setup": (
        lambda v: isinstance(v, list) and all(isinstance(line, str) for line in v),
        "a list of shell commands",
    ),
    "launch.slurm.extra": (lambda v: isinstance(v, dict), "options as in {constraint: a100}"),
    "launch.ray.address": (_is_text_or_null, "a string such as auto, or null"),
    "wandb.mode": (lambda v: v in WANDB_MODES, f"one of {', '.join(WANDB_MODES)}"),
    **{name: (_is_positive_or_null, "a number above 0 or null") for name in SWEEP_LIMITS},
    "measure": (lambda v: v in MEASURES, f"one of {', '.join(MEASURES)}"),
    "seed": (lambda v: _is_int(v, 0) and v < 2**31, "a whole number from 0 to 2^31 - 1"),
    "store": (lambda v: isinstance(v, str) and bool(v), "the name of a folder"),
}
"""Dotted name of a setting → whether a value is valid, and a description of the valid values."""


def _find_value_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for name, (is_valid, expected) in CHECKS.items():
        value: Any = config
        for key in name.split("."):
            value = value[key]
        if not is_valid(value):
            yield f"{name} must be {expected}; got {value!r}"
    launch, store = config["launch"], config["store"]
    if launch["detach"] is True and launch["executor"] != "slurm":
        yield f"launch.detach needs launch.executor=slurm; got {launch['executor']}"
    if not isinstance(store, str):
        return
    path = Path(store).expanduser()
    if "://" in store:
        yield f"store={store}: a URL is accepted on the command line only; expected a folder here"
    elif path.exists() and not path.is_dir():
        yield f"store={store} is a file; expected a folder, or a name that does not exist yet"
