"""Atomic writes of files and folders; translates file-system errors into user messages."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quintain.errors import StoreError

_ADVICE = {
    errno.EROFS: "is on a read-only file system: choose another folder",
    errno.EACCES: "may not be written by this user: choose another folder or change its rights",
    errno.EPERM: "may not be written by this user: choose another folder or change its rights",
    errno.ENOSPC: "is on a full disk: free some space, or choose another folder",
    errno.EDQUOT: "is over its disk quota: free some space, or choose another folder",
    errno.EFBIG: "may not hold a file this large: raise the file size limit (ulimit -f)",
    errno.ENOTDIR: "is not a folder, or a parent of it is a file: choose another path",
    errno.EEXIST: "is not a folder: choose another path",
}
MAX_AGE = 3600.0  # seconds; an older temporary file is from a killed process


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    """Turn file-system errors in the `with` block into a `StoreError` about the store `path`."""
    try:
        yield
    except TimeoutError as error:  # filelock's Timeout is one
        raise StoreError(
            f"the store {path} is slow or stuck: timed out waiting for another process to finish "
            "writing; end the process that hangs, or choose another folder"
        ) from error
    except (OSError, NotImplementedError) as error:
        code = error.errno if isinstance(error, OSError) else None
        advice = _ADVICE.get(code or 0, f"cannot be used ({error}): choose another folder")
        raise StoreError(f"the store {path} {advice}") from error


def read_regular_file(path: Path | str) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read, or is a pipe, a device or a socket, which could block for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return file.read()


def write_temporary(target: Path, content: bytes, *, sync: bool = True) -> Path:
    """Write a temporary file in the folder of `target`, to be renamed to it; return its path.

    With `sync` it is flushed to the disk, so that it survives a power failure. After an error it is
    removed.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=".tmp", dir=target.parent)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            remaining = memoryview(content)
            while remaining:
                remaining = remaining[file.write(remaining) :]
            if sync:
                os.fsync(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def replace_text(file: Path, text: str) -> None:
    """Write a text file atomically, and its folder if missing; an error leaves no partial file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename in it survives a power failure."""
    if os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_stale_temporaries(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder and its subfolders."""
    for path in folder.rglob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > MAX_AGE:
                path.unlink(missing_ok=True)


def copy_folder(source: Path, target: Path) -> None:
    """Replace the folder `target` by a copy of `source`, if `source` is a folder.

    Links are not copied: those of another user may point to any file.
    """
    if source.is_dir() and not source.is_symlink():
        with _temporary_folder(target) as part:
            shutil.copytree(source, part, ignore=_list_links)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(part, target)


def write_folder(target: Path, files: dict[str, bytes]) -> None:
    """Write a new folder with these files (name → content) atomically."""
    with _temporary_folder(target) as part:
        part.mkdir(parents=True)
        for name, content in files.items():
            (part / name).write_bytes(content)
        os.replace(part, target)


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    """Yield a free path in the parent of `target`; remove what is there afterwards."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _list_links(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_symlink()]
