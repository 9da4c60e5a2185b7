"""Locks of a store: a claim is the exclusive right of one process to run a cell."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_TIMEOUT = 30.0  # seconds; the write lock is held only while a file is renamed


class Claim(AbstractContextManager["Claim"]):
    """The right to run a cell, until `release`, the end of a `with` block, or of the process."""

    def __init__(self, lock: BaseFileLock):
        self._lock = lock

    def release(self) -> None:
        """Give up the claim; a second call does nothing."""
        self._lock.release(force=True)

    def __exit__(self, *_: object) -> None:
        self.release()


def try_claim(store: Path, key: str) -> Claim | None:
    """Claim a cell without waiting; return None if another process has claimed it.

    Raises:
        OSError: the folder cannot be written.
    """
    from filelock import Timeout

    lock = make_lock(store, key)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return Claim(lock)


def make_lock(store: Path, name: str) -> BaseFileLock:
    """Return an inter-process lock, not yet acquired. Its file in `claims/` is never removed."""
    from filelock import FileLock  # 0.1 s to import, and readers never lock

    folder = store / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", timeout=LOCK_TIMEOUT)
