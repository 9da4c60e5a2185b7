"""The user's own files: what lies in them decides a result, not where they lie.

A dataset's card names the settings that are files or folders (`card.files: [path]`). A cell keeps a
hash of their content in its card, so that an edited file makes another key.
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
    settings = {key: str(path) for key, path in paths.items()}
    return node | settings | {"card": node["card"] | {"content": content}}


def unchanged(node: Mapping[str, Any]) -> bool:
    """Whether the files of a frozen node still hold what they held."""
    known = (node.get("card") or {}).get("content") or {}
    return all(content_hash(str(node[key])) == text for key, text in known.items())


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


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder; hidden ones are nobody's data, and links to folders may loop."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(here, name) for name in names if not name.startswith(".")]
        yield from (path for path in paths if path.is_file())


def _paths(node: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for key in (node.get("card") or {}).get("files") or []:
        if isinstance(value := node.get(key), str) and value:
            yield key, Path(value).expanduser().absolute()
