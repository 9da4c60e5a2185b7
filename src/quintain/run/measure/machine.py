"""Describes machine and package versions of a run, without data that identify the owner."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from quintain._version import __version__

PACKAGES = ("torch", "torchaudio", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


def describe_machine(threads: int | None = None) -> dict[str, Any]:
    """Return CPU, cores, memory, system and GPU; of the host name only a hash.

    `threads` is the number of CPU threads of a run.
    """
    host = f"{platform.node()}-{uuid.getnode()}"
    return {
        "host": hashlib.sha256(host.encode()).hexdigest()[:12],
        "cpu": _read_cpu_name(),
        "architecture": platform.machine(),
        "cores": count_available_cores(),
        "threads": threads,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "os": f"{platform.system()} {platform.release()}",
        **_describe_gpu(),
    }


def count_available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def read_package_versions() -> dict[str, str]:
    """Return the versions of Python, Quintain and the packages that can change results."""
    versions = {"python": platform.python_version(), "quintain": __version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a container may have torch without metadata
            versions[package] = "unknown"
    return versions


def _read_cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _describe_gpu() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return {"gpu": None, "driver": None}
    return {"gpu": torch.cuda.get_device_name(0), "driver": f"CUDA {torch.version.cuda}"}
