"""Hashes of data files, so that a cell's key depends on their content and not on their location.

The card of a dataset (the `card` node of its YAML) lists the settings that are paths of the user's
files or folders: `files: [path, images]`. Each cell stores the hashes of their content in its card.
`class_folders` lists those of them that have classes or splits as subfolders: files beside these
subfolders, such as a log of the sweep, are not read and do not count.

A setting whose name ends with `path` is one file, and is ignored if it is null. The others are
folders of media. If one is null, the dataset searches beside the table `path` for the media, so
the folder of the table is hashed.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from quintain.data.files.file_hashes import hash_files
from quintain.data.files.folder_listing import list_files
from quintain.errors import DataError, UsageError


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
    content = {key: _hash_setting(node, key, path) for key, path in paths.items()}
    settings = {key: str(path) for key, path in paths.items() if node.get(key)}
    return node | settings | {"card": node["card"] | {"content": content}}


def has_same_content(node: Mapping[str, Any]) -> bool:
    """Whether the files of a cell's dataset still have the hashes in its card."""
    hashes = (node.get("card") or {}).get("content") or {}
    paths = dict(_paths(node))
    return all(
        key in paths and _hash_setting(node, key, paths[key]) == value
        for key, value in hashes.items()
    )


def require_same_content(node: Mapping[str, Any]) -> None:
    """Check that a dataset's files still have the hashes in its card, after they were read.

    Raises:
        DataError: they have changed, so the data may be other ones than those of the cell's key.
    """
    content_hash.cache_clear()
    if not has_same_content(node):
        raise DataError(
            "the files of the dataset have changed while they were read: the same command makes a "
            "new plan, with the new files"
        )


def _hash_setting(node: Mapping[str, Any], key: str, path: Path) -> str:
    card = node.get("card") or {}
    return content_hash(str(path), key in (card.get("class_folders") or ()))


@cache
def content_hash(path: str, has_class_folders: bool = False) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all data files of a folder.

    The files of a folder are those that datasets read, see `data.files.folder_listing`. A file that
    cannot be read counts as such.

    Args:
        path: file or folder.
        has_class_folders: files in the folder itself do not count, only those in its subfolders.

    Returns:
        "sha256:" and the hex digits.
    """
    root = Path(path)
    is_folder = root.is_dir()
    files = [file for file in list_files(root).files if file.is_file()] if is_folder else [root]
    if is_folder and has_class_folders:
        files = [file for file in files if file.parent != root]
    hashes = hash_files(files, root if is_folder else root.parent)
    hasher = hashlib.sha256()
    for name, file in sorted((_normalized_parts(file, root), file) for file in files):
        header = f"\0{'/'.join(name)}\0{file.stat().st_size}\0"
        hasher.update(header.encode(errors="surrogateescape"))
        content = hashes[file]
        hasher.update(b"" if isinstance(content, OSError) else bytes.fromhex(content))
    return f"sha256:{hasher.hexdigest()}"


def _normalized_parts(file: Path, root: Path) -> tuple[str, ...]:
    """Return the parts of the name below `root`; copies by macOS have another Unicode form."""
    return tuple(unicodedata.normalize("NFC", part) for part in file.relative_to(root).parts)


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
