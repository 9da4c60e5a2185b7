"""The journal of an index: the keys of the records that were written since the index was built.

The index detects replaced files by their inodes (see `list_record_files`). But file systems reuse
inodes: after two replacements a file may have the same inode again. So `Store` appends the key of
every record that it writes to the journal, if the store has an index.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

INDEX_FOLDER = "index"
JOURNAL_FILE = "written"


def append_to_journal(store: Path, key: str) -> None:
    """Append a key to the journal if the store has an index.

    To be called under the write lock and before the file is replaced: then the journal is complete
    even if the process is killed. See `docs/decisions/0014` for concurrent readers.

    Raises:
        OSError: the journal cannot be written.
    """
    folder = store / INDEX_FOLDER
    journal = folder / JOURNAL_FILE
    if folder.is_dir():
        is_new = not journal.exists()
        with journal.open("ab") as file:
            file.write(f"{key}\n".encode())
        if is_new:
            copy_permissions(folder, journal)


def copy_permissions(folder: Path, path: Path) -> None:
    """Give the users who may write to `folder`, in a shared store, write access to `path`."""
    mode = folder.stat().st_mode & (0o777 if path.is_dir() else 0o666)
    with contextlib.suppress(OSError):
        path.chmod(path.stat().st_mode | mode)  # a setgid bit stays


def read_journal(index: Path, start: int) -> tuple[set[str], int]:
    """Return the keys after byte `start` of the journal, and the `start` of the next call.

    Raises:
        ValueError: the journal is shorter than `start`, so it was replaced.
    """
    journal = index / JOURNAL_FILE
    size = journal.stat().st_size if journal.exists() else 0
    if size < start:
        raise ValueError(f"{journal} has {size} bytes, but had {start} before")
    if size == start:
        return set(), start
    with journal.open("rb") as file:
        file.seek(start)
        text = file.read(size - start)
    lines = text[: text.rfind(b"\n") + 1]  # the next call reads an incomplete line
    return set(lines.decode(errors="replace").split()), start + len(lines)
