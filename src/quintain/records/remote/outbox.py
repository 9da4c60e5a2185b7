"""The outbox of a working store: records that have not been pushed to its remote yet.

A store with a folder `outbox/` is a working store. Every process adds a copy of a record to the
outbox before it writes the record, so that none is lost; the command that was given the URL of the
store pushes them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from quintain.records import filesystem


def outbox_folder(store: Path) -> Path:
    """Return the folder of the outbox of a store."""
    return store / "outbox"


def add(store: Path, file: Path, name: str) -> None:
    """Add a copy of a file under a name; do nothing if the store has no outbox.

    Raises:
        OSError: the file cannot be copied.
    """
    folder = outbox_folder(store)
    target = folder / name
    if not folder.is_dir() or target.exists():
        return
    try:
        os.link(file, target)
    except OSError:  # some file systems have no links
        part = target.with_suffix(".tmp")
        shutil.copyfile(file, part)
        os.replace(part, target)
    filesystem.sync_folder(folder)


def list_files(store: Path) -> list[Path]:
    """Return the files in the outbox, sorted by name."""
    return sorted(outbox_folder(store).glob("*.json"))
