"""Data sets that nobody offers for download in the form that is needed: put there by the user."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from quintain.kit.files.download import DataError, tree_hash


def check_given(folder: Path, expected: Mapping[str, str], layout: str, *, verify: bool) -> None:
    """See that the files are there and, if `verify`, that they are the right ones.

    Args:
        folder: where they lie.
        expected: SHA-256 of a file by its name, or of the files `folder/*.suffix` together, as
            `tree_hash` has it.
        layout: what has to lie in the folder and whence it comes, for messages.
        verify: without, other files of the same form can be used.

    Raises:
        DataError: files are missing, with the layout that is expected, or they differ.
    """
    if not all(_is_there(folder, name) for name in expected):
        raise DataError(f"{folder} is missing or incomplete: {layout}")
    if not verify:
        return
    found = {name: _hash(folder, name) for name in expected}
    wrong = [
        f"{n} has {found[n]}, expected {sha}" for n, sha in expected.items() if found[n] != sha
    ]
    if wrong:
        raise DataError(
            f"{folder} differs ({'; '.join(wrong)}): files are missing, damaged, or made in "
            "another way or version; for files of your own, dataset.verify=false"
        )


def _is_there(folder: Path, name: str) -> bool:
    return (folder / name).parent.is_dir() if "*" in name else (folder / name).is_file()


def _hash(folder: Path, name: str) -> str:
    if "*" in name:
        return tree_hash((folder / name).parent, Path(name).suffix)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()
