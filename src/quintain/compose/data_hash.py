"""Hashes of data files, so that a cell's key depends on their content and not on their location.

The card of a dataset (the `card` node of its YAML) lists the settings that are paths of the user's
files or folders: `files: [path, images]`. Each cell stores the hashes of their content in its card.

A setting whose name ends with `path` is one file, and is ignored if it is null. The others are
folders of media. If one is null, the dataset searches beside the table `path` for the media, so
the folder of the table is hashed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from quintain.errors import UsageError

FULL_HASH_LIMIT = 256 * 2**20  # bytes; of larger data only sizes, beginnings and ends are hashed
END_SIZE = 2**16  # bytes of a file's beginning and of its end


def add_content_hashes(node: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset's node with absolute paths, and with the hashes of its files in its card.

    Raises:
        UsageError: with a message for each file or folder that does not exist.
    """
    paths = dict(_paths(node))
    if missing := [(key, path) for key, path in paths.items() if not path.exists()]:
        raise UsageError(
            f"dataset.{key}={path}: there is no such file or folder" for key, path in missing
        )
    if not paths:
        return node
    content = {key: content_hash(str(path)) for key, path in paths.items()}
    settings = {key: str(path) for key, path in paths.items() if node.get(key)}
    return node | settings | {"card": node["card"] | {"content": content}}


def has_same_content(node: Mapping[str, Any]) -> bool:
    """Whether the files of a cell's dataset still have the hashes in its card."""
    hashes = (node.get("card") or {}).get("content") or {}
    paths = dict(_paths(node))
    return all(
        key in paths and content_hash(str(paths[key])) == value for key, value in hashes.items()
    )


def was_modified_since(node: Mapping[str, Any], since: float) -> bool:
    """Whether a dataset's files may have changed after a time, in seconds since 1970.

    This compares the time of the last change (ctime) of files, folders and symbolic links; unlike
    mtime, no copy and no `touch` can set it back.

    Raises:
        OSError: a file does not exist any more.
    """
    for _, path in _paths(node):
        files = [path, *(Path(folder) for folder, _, _ in os.walk(path))]
        files += _files(path) if path.is_dir() else []
        links = [link for link in (path, *path.parents) if link.is_symlink()]
        times = [file.stat().st_ctime for file in files] + [link.lstat().st_ctime for link in links]
        if max(times) > since:
            return True
    return False


@cache
def content_hash(path: str) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files below a folder.

    Of more than 256 MiB in all, only the size and the first and last 64 KiB of each file are
    hashed: a change in the middle of a large file that keeps its size is not noticed.

    Returns:
        "sha256:" and the hex digits.
    """
    root = Path(path)
    files = sorted(_files(root)) if root.is_dir() else [root]
    sizes = [file.stat().st_size for file in files]
    is_full = sum(sizes) <= FULL_HASH_LIMIT
    hasher = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        name = file.relative_to(root).as_posix() if file != root else ""
        hasher.update(f"\0{name}\0{size}\0".encode(errors="surrogateescape"))
        with file.open("rb") as handle:
            if is_full:
                hasher.update(hashlib.file_digest(handle, "sha256").digest())
            else:
                hasher.update(handle.read(END_SIZE))
                handle.seek(max(0, size - END_SIZE))
                hasher.update(handle.read(END_SIZE))
    return f"sha256:{hasher.hexdigest()}"


def _files(folder: Path, parents: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield every file below a folder, following links as the datasets do.

    Hidden files, unreadable folders and links to a folder among the `parents` are left out. So are
    stores of results: a sweep that writes beside the data must not change its own keys.
    """
    real = os.path.realpath(folder)
    is_store = all((folder / name).is_dir() for name in ("records", "claims"))
    if real in parents or is_store or not os.access(folder, os.R_OK | os.X_OK):
        return
    for name in os.listdir(folder):
        path = folder / name
        if name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, (*parents, real))
        elif path.is_file():
            yield path


def _paths(node: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield each setting in `card.files` and its path; see the module's docstring for null."""
    table = node.get("path")
    for key in (node.get("card") or {}).get("files") or []:
        value = node.get(key)
        if isinstance(value, str) and value:
            yield key, Path(value).expanduser().absolute()
        elif not key.endswith("path") and isinstance(table, str) and table:
            path = Path(table).expanduser().absolute()
            if path.is_file():
                yield key, path.parent
