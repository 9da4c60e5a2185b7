"""The part of a configuration that says how and where; none of it decides a result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quintain.compose.cells import MEASURES, PARTS
from quintain.compose.errors import UsageError, nearest

WANDB_MODES = ("auto", "online", "offline", "disabled")
PLACES = ("store", "data_dir", "plugins_dir")
EXECUTORS = ("local", "slurm", "ray")
OF_A_RUN = {"time_limit": "seconds", "memory_limit": "MiB", "hang_limit": "seconds"}
OTHERS = ("grace", "checkpoint_every", "detach", "slurm", "ray")
TABLES = {
    "tune": ("trials", "sampler", "pruner", "startup", "seed", "space"),
    "launch": ("executor", "workers", *OF_A_RUN, *OTHERS),
    "wandb": ("mode", "project", "entity"),
}
CLUSTERS = {  # tables below `launch`
    "slurm": ("partition", "account", "qos", "time", "memory", "cpus", "gres", "setup", "extra"),
    "ray": ("address",),
}
LIMITS = ("max_hours", "max_kwh")
OUTSIDE = (*PLACES, *TABLES, *LIMITS)
KNOWN = (*PARTS, "seed", "measure", "sweep", *OUTSIDE)
"""Every key of `conf/config.yaml`; a test keeps it so."""


@dataclass(frozen=True)
class Settings:
    """How a sweep runs and where it writes; `table` has all of it as the configuration says it."""

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
    table: dict[str, Any] = field(default_factory=dict)


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Raises UsageError with every problem."""
    if problems := wrong_settings(config):
        raise UsageError(problems)
    return Settings(
        store=Path(os.path.expanduser(config["store"])).absolute(),
        wandb=dict(config["wandb"]),
        **config["launch"],
        max_hours=config["max_hours"],
        max_kwh=config["max_kwh"],
        table={name: config[name] for name in OUTSIDE},
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
    launch = config.get("launch")
    for name, keys in CLUSTERS.items():
        node = launch.get(name) if isinstance(launch, dict) else None
        if isinstance(node, dict):
            yield from _wrong_keys(f"launch.{name}.", node, keys)
        elif isinstance(launch, dict) and name in launch:
            yield f"launch.{name} has settings ({', '.join(keys)}) and no value; came {node!r}"


def _wrong_keys(path: str, node: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in node:
        if key not in known:
            yield f"{path}{key}: there is no such setting{nearest(str(key), known)}"
    for key in known:
        if key not in node:
            yield f"{path}{key} cannot be left out"


def _wrong_launch(launch: Mapping[str, Any]) -> Iterator[str]:
    workers, grace, every = (launch[k] for k in ("workers", "grace", "checkpoint_every"))
    if workers is not None and (type(workers) is not int or workers < 1):
        yield f"launch.workers must be a whole number above 0 or null, came {workers!r}"
    for name, unit in OF_A_RUN.items():
        if (limit := launch[name]) is not None and not (_number(limit) and limit > 0):
            yield f"launch.{name} must be {unit} above 0 or null, came {limit!r}"
    if not (_number(grace) and grace >= 0):
        yield f"launch.grace must be seconds, 0 or above, came {grace!r}"
    if every is not None and not (_number(every) and every >= 0):
        yield f"launch.checkpoint_every must be seconds, 0 or above, or null, came {every!r}"
    if launch["executor"] not in EXECUTORS:
        yield f"launch.executor must be one of {', '.join(EXECUTORS)}; came {launch['executor']!r}"
    if type(launch["detach"]) is not bool:
        yield f"launch.detach must be true or false, came {launch['detach']!r}"
    elif launch["detach"] and launch["executor"] != "slurm":
        yield f"launch.detach needs launch.executor=slurm, came {launch['executor']}"
    yield from _wrong_slurm(launch["slurm"])
    address = launch["ray"]["address"]
    if address is not None and not isinstance(address, str):
        yield f"launch.ray.address must be a text such as auto, or null; came {address!r}"


def _wrong_slurm(slurm: Mapping[str, Any]) -> Iterator[str]:
    for name in ("time", "cpus"):
        value = slurm[name]
        if not (value is None and name == "cpus") and (type(value) is not int or value < 1):
            unit = "minutes" if name == "time" else "cores (or null)"
            yield f"launch.slurm.{name} must be a whole number of {unit} above 0, came {value!r}"
    for name in ("partition", "account", "qos", "memory", "gres"):
        if slurm[name] is not None and not isinstance(slurm[name], str):
            yield f"launch.slurm.{name} must be a text as sbatch takes it, or null;" + (
                f" came {slurm[name]!r}"
            )
    setup, extra = slurm["setup"], slurm["extra"]
    if not isinstance(setup, list) or not all(isinstance(line, str) for line in setup):
        yield f"launch.slurm.setup must be a list of shell commands, came {setup!r}"
    if not isinstance(extra, dict):
        yield f"launch.slurm.extra must be options as in {{constraint: a100}}; came {extra!r}"


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _wrong_wandb(wandb: Mapping[str, Any]) -> Iterator[str]:
    if wandb["mode"] not in WANDB_MODES:
        yield f"wandb.mode must be one of {', '.join(WANDB_MODES)}; came {wandb['mode']!r}"


def _wrong_rest(config: Mapping[str, Any]) -> Iterator[str]:
    seed, store = config["seed"], config["store"]
    for name in LIMITS:
        value = config[name]
        if value is not None and (type(value) not in (int, float) or not value > 0):
            yield f"{name} must be a number above 0 or null, came {value!r}"
    if config["measure"] not in MEASURES:
        yield f"measure must be one of {', '.join(MEASURES)}; came {config['measure']!r}"
    if type(seed) is not int or not 0 <= seed < 2**31:
        yield f"seed must be a whole number from 0 to 2^31 - 1, came {seed!r}"
    if not isinstance(store, str) or not store:
        yield f"store must be the name of a folder, came {store!r}"
    elif "://" in store:
        yield f"store={store}: a URL is taken from the command line only; expected a folder here"
    elif (place := Path(store).expanduser()).exists() and not place.is_dir():
        yield f"store={store} is a file; expected a folder, or a name that is free"
