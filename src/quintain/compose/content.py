"""The user's own files: what lies in them decides a result, not where they lie.

A dataset's card names the settings that are files or folders (`card.files: [path]`). A cell keeps a
hash of their content in its card, so that an edited file makes another key.

Where `path` is a table and another of these settings, the folder of the media that it names, is
null, the media are looked for beside the table; then the table's whole folder is hashed in its
place. Settings whose names end with `path` are files of their own, and absent where null.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from quintain.compose.errors import UsageError

WHOLE = 256 * 2**20  # bytes; of more, each file's size, beginning and end stand for it
STORE = ("records", "claims")  # folders by which a store of results is known
END = 2**16  # bytes of each file's beginning and end


def with_content(node: dict[str, Any]) -> dict[str, Any]:
    """A node whose files have absolute paths, and whose card says what they hold.

    Raises:
        UsageError: a file or folder that is named is not there; all of them in one message.
    """
    paths = dict(_paths(node))
    if missing := [f"{key}={path}: there is no such file or folder" for key, path in paths.items()
                   if not path.exists()]:  # fmt: skip
        raise UsageError(f"dataset.{text}" for text in missing)
    if not paths:
        return node
    content = {key: content_hash(str(path)) for key, path in paths.items()}
    settings = {key: str(path) for key, path in paths.items() if node.get(key)}
    return node | settings | {"card": node["card"] | {"content": content}}


def unchanged(node: Mapping[str, Any]) -> bool:
    """Whether the files of a frozen node still hold what they held."""
    known = (node.get("card") or {}).get("content") or {}
    paths = dict(_paths(node))
    return all(
        key in paths and content_hash(str(paths[key])) == text for key, text in known.items()
    )


def touched(node: Mapping[str, Any], since: float) -> bool:
    """Whether a file of a node may be another one since then, or gone; in seconds since 1970.

    By the time of the last change of any kind of it or its folder (ctime), which no copy and no
    touch can set back.
    """
    for _, path in _paths(node):
        folders = (Path(place) for place, _, _ in os.walk(path))
        links = (one for one in (path, *path.parents) if one.is_symlink())
        changes = (one.stat().st_ctime for one in (path, *folders, *_below(path)))
        if any(t > since for t in (*changes, *(one.lstat().st_ctime for one in links))):
            return True
    return False


def _below(path: Path) -> Iterator[Path]:
    return _files(path) if path.is_dir() else iter(())


@cache
def content_hash(path: str) -> str:
    """`sha256:` of a file, or of the names and contents of all files below a folder.

    Beyond 256 MiB in all, a file's size and its first and last 64 KiB stand for its content: an
    edit in the middle of a large file that keeps its size is not seen.
    """
    root = Path(path)
    files = sorted(_files(root)) if root.is_dir() else [root]
    sizes = [file.stat().st_size for file in files]
    whole = sum(sizes) <= WHOLE
    hasher = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        name = file.relative_to(root).as_posix() if file != root else ""
        hasher.update(f"\0{name}\0{size}\0".encode(errors="surrogateescape"))
        with file.open("rb") as handle:
            if whole:
                hasher.update(hashlib.file_digest(handle, "sha256").digest())
            else:
                hasher.update(handle.read(END))
                handle.seek(max(0, size - END))
                hasher.update(handle.read(END))
    return f"sha256:{hasher.hexdigest()}"


def _files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every file below a folder, links followed as the datasets follow them.

    Hidden files are nobody's data. A link to a folder that it lies in, whose real path is one of
    those `above`, adds nothing, nor does one that may not be read. Nor does a store of results:
    else a sweep that writes beside the data would change its own keys.
    """
    mine = os.path.realpath(folder)
    if mine in above or not os.access(folder, os.R_OK | os.X_OK) or _is_store(folder):
        return
    for name in os.listdir(folder):
        path = folder / name
        if name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, (*above, mine))
        elif path.is_file():
            yield path


def _is_store(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in STORE)


def _paths(node: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Each setting of `card.files` with what it stands for; null is the table's own folder."""
    table = node.get("path")
    for key in (node.get("card") or {}).get("files") or []:
        value = node.get(key)
        if isinstance(value, str) and value:
            yield key, Path(value).expanduser().absolute()
        elif not key.endswith("path") and isinstance(table, str) and table:
            path = Path(table).expanduser().absolute()
            if path.is_file():
                yield key, path.parent
