"""What a run ran on: facts of the machine and versions, without anything that names its owner."""

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

import quintain

PACKAGES = ("torch", "torchaudio", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


def machine(threads: int | None = None) -> dict[str, Any]:
    """CPU, cores, memory, system; the host as a hash, so that two runs can be told together."""
    host = f"{platform.node()}-{uuid.getnode()}"
    return {
        "host": hashlib.sha256(host.encode()).hexdigest()[:12],
        "cpu": _cpu_name(),
        "architecture": platform.machine(),
        "cores": available_cores(),
        "threads": threads,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "os": f"{platform.system()} {platform.release()}",
        **_gpu(),
    }


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def versions() -> dict[str, str]:
    """Python, Quintain and the packages that decide numbers; read once a process."""
    found = {"python": platform.python_version(), "quintain": quintain.__version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a container may carry torch without metadata
            found[package] = "unknown"
    return found


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return {"gpu": None, "driver": None}
    return {"gpu": torch.cuda.get_device_name(0), "driver": f"CUDA {torch.version.cuda}"}
