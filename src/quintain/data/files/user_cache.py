"""JSON tables in the user's cache folder; they can be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs


def read_cache(kind: str, identity: str) -> dict[str, Any]:
    """Return the table of this kind (a folder name) and identity; {} if there is no usable one."""
    with suppress(OSError, ValueError):
        entries = json.loads(_cache_file(kind, identity).read_text())
        if isinstance(entries, dict):
            return entries
    return {}


def write_cache(kind: str, identity: str, entries: dict[str, Any]) -> None:
    """Replace a table atomically; a table that cannot be written costs only time."""
    file = _cache_file(kind, identity)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(entries))
        os.replace(part, file)


def remove_caches(kind: str) -> None:
    """Remove all tables of this kind."""
    shutil.rmtree(platformdirs.user_cache_path("quintain") / kind, ignore_errors=True)


def _cache_file(kind: str, identity: str) -> Path:
    name = hashlib.sha256(os.fsencode(identity)).hexdigest()[:32]
    return platformdirs.user_cache_path("quintain") / kind / f"{name}.json"
