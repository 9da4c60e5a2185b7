"""Files that are there whole or not at all, whatever dies or fills up meanwhile."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STALE = 3600.0  # seconds after which a half-written file belongs to no living process


def write_beside(target: Path, content: bytes, *, sync: bool = True) -> Path:
    """A synced temporary file in the target's folder; removed again if it cannot be finished."""
    with _temporary(target) as (handle, path):
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        if sync:
            os.fsync(handle)
    return path


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[int, Path]]:
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=".tmp", dir=target.parent)
    try:
        try:
            yield handle, Path(name)
        finally:
            os.close(handle)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_stale(folder: Path) -> None:
    """Remove what killed processes left half-written."""
    for path in folder.rglob(".*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue


def copy_folder(source: Path, target: Path) -> None:
    """Replace `target` by a copy of `source`, where there is one; whole or not at all.

    Links stay behind: in a folder that somebody else made they may point anywhere.
    """
    if not source.is_dir() or source.is_symlink():
        return
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(source, part, ignore=_links)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_folder(target: Path, files: dict[str, bytes]) -> None:
    """A new folder with these files; whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for name, content in files.items():
            (part / name).write_bytes(content)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _links(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_symlink()]
