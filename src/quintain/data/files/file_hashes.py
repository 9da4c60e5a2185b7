"""SHA-256 of files, remembered in the user's cache folder.

A hash is remembered with size, modification time, change time and inode of its file. Unlike the
modification time, the change time (ctime) cannot be set back by a copy or by `touch`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from quintain.data.files.user_cache import read_cache, remove_caches, write_cache

RACY_SECONDS = 2.0
"""A hash is not remembered if its file changed less than this before it was read: a second change
in the same tick of the file system's clock would not be noticed."""

_KIND = "hashes"


def hash_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file.

    Raises:
        OSError: it cannot be read, or is a pipe, a socket or a device, which may never end.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_stamp(path: Path) -> list[int]:
    """Return size, modification time, change time and inode of a file; [] if there is none."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def hash_files(files: Sequence[Path], folder: Path, workers: int = 2) -> dict[Path, str | OSError]:
    """Return the SHA-256 of each file, or why it cannot be read; unchanged files are not read.

    Args:
        files: absolute paths.
        folder: the cache has a table for each folder, so callers give the same for the same data.
        workers: number of threads that read.
    """
    latest = time.time_ns() - int(RACY_SECONDS * 1e9)
    cached = read_cache(_KIND, str(folder))
    stamps = {file: read_stamp(file) for file in files}
    known = {
        file: str(entry[1])
        for file in files
        if stamps[file] and (entry := cached.get(str(file))) and entry[0] == stamps[file]
    }
    changed = [file for file in files if file not in known]
    with ThreadPoolExecutor(workers) as pool:
        fresh = dict(zip(changed, pool.map(_try_hash_file, changed), strict=True))
    new = {
        str(file): [stamps[file], sha256]
        for file, sha256 in fresh.items()
        if isinstance(sha256, str) and stamps[file] and stamps[file][2] < latest
    }
    if new:
        kept = {name: entry for name, entry in cached.items() if os.path.exists(name)}
        write_cache(_KIND, str(folder), kept | new)
    return {file: known[file] if file in known else fresh[file] for file in files}


def forget_hashes() -> None:
    """Forget all hashes: on some network file systems a change may leave the stamp as it was."""
    remove_caches(_KIND)


def _try_hash_file(file: Path) -> str | OSError:
    try:
        return hash_file(file)
    except OSError as error:
        return error
