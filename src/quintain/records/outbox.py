"""What a working store has still to send to its remote; see `records.remote`.

A store that has a folder `outbox/` is a working store: each record that is written is put there
too, by whichever process writes it and before it takes its place, so that nothing which has
finished is forgotten. Sending it is the business of the command that was given the remote's URL.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from quintain.records import disk


def folder(store: Path) -> Path:
    """Where records wait."""
    return store / "outbox"


def post(store: Path, content: Path, name: str) -> None:
    """Put a file into the outbox of a working store; does nothing in any other store."""
    if not folder(store).is_dir():
        return
    target = folder(store) / name
    if target.exists():
        return
    try:
        os.link(content, target)
    except OSError:  # a file system without links; what fails here too is the caller's to tell
        part = target.with_suffix(".tmp")
        shutil.copyfile(content, part)
        os.replace(part, target)
    disk.sync_folder(folder(store))


def waiting(store: Path) -> list[Path]:
    """What has not been sent yet, in the order of the names."""
    return sorted(folder(store).glob("*.json"))
