"""Remembers which cells the same words made last time, because composing one takes 0.1 s.

What is remembered is only used to see that every cell is in the store already. If one is missing,
everything is composed anew, so nothing that lies in a store is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import quintain
from quintain.compose.cells import RESULTS_VERSION, Cell, source_hash
from quintain.compose.content import unchanged
from quintain.compose.errors import UsageError
from quintain.compose.planfile import load, plain_cells
from quintain.compose.providers import config_folders

ENVIRONMENT = ("QUINTAIN_DATA", "QUINTAIN_PLUGINS", "CUDA_VISIBLE_DEVICES")


def digest(overrides: Sequence[str], references: bool) -> str | None:
    """A name for what these words make here; None where that cannot be told.

    It covers the words, every YAML file of every provider, the machine, its Python, and the folder
    that relative paths are from.
    """
    if any("${" in override for override in overrides):
        return None  # its meaning may change from one moment to the next
    hasher = hashlib.sha256()
    place = [
        platform.node(),
        sys.version,
        os.getcwd(),
        *(os.environ.get(name, "") for name in ENVIRONMENT),
    ]
    version = [quintain.__version__, RESULTS_VERSION, references]
    hasher.update(json.dumps([list(overrides), place, version]).encode())
    for folder in config_folders().values():
        if folder is None:
            return None
        for file in sorted(folder.rglob("*.yaml")):
            text = file.read_bytes()
            if b"${oc." in text or b"${now" in text:
                return None  # its meaning may change from one moment to the next
            hasher.update(f"\0{file.relative_to(folder)}\0".encode() + text)
    return hasher.hexdigest()[:32]


def recall(file: Path) -> list[Cell] | None:
    """The cells of a plan file, or None where there is none, or a source or file has changed."""
    try:
        content = load(file)
        cells = [Cell(**plain) for plain, _ in plain_cells(content)]
        sources = {pair for g in content["groups"].values() for pair in g["sources"].items()}
        current = all(source_hash(target) == text for target, text in sources)
        current = current and all(
            unchanged(content["parts"][g["config"]["dataset"]]) for g in content["groups"].values()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, UsageError):
        return None
    return cells if current else None
