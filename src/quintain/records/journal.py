"""A journal of the records that were written, so that an index misses none.

An index knows a record's file by its inode, see `listing`. But a file system gives the number of a
file that is gone to a later one: after two replacements the inode may be the first again. So what
quintain writes it notes here, if the store has an index.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

FOLDER = "index"
JOURNAL = "written"


def note_written(store: Path, key: str) -> None:
    """Append a key to the journal, if the store has an index; before its file is replaced.

    Before, because then the journal lacks nothing when the process is killed in between. A reader
    who has passed the line already will see that the inode has changed, see `docs/decisions`.
    The caller holds the store's write lock.

    Raises:
        OSError: the journal cannot be written.
    """
    folder, journal = store / FOLDER, store / FOLDER / JOURNAL
    if folder.is_dir():
        new = not journal.exists()
        with journal.open("ab") as handle:
            handle.write(f"{key}\n".encode())
        if new:
            shared_as(folder, journal)


def shared_as(model: Path, made: Path) -> None:
    """Let who may write into the folder `model` write `made`, too, in a store that users share."""
    mode = model.stat().st_mode & (0o777 if made.is_dir() else 0o666)
    with contextlib.suppress(OSError):
        made.chmod(made.stat().st_mode | mode)  # setgid stays


def read_journal(index: Path, since: int) -> tuple[set[str], int]:
    """Keys that were noted behind the byte `since`, and where the next reading starts.

    Raises:
        ValueError: the journal is shorter than that; it is not the one that was read before.
    """
    journal = index / JOURNAL
    size = journal.stat().st_size if journal.exists() else 0
    if size < since:
        raise ValueError(f"{journal} has {size} bytes, had {since}")
    if size == since:
        return set(), since
    with journal.open("rb") as handle:
        handle.seek(since)
        text = handle.read(size - since)
    whole = text[: text.rfind(b"\n") + 1]  # a line that is being written is read next time
    return set(whole.decode(errors="replace").split()), since + len(whole)
