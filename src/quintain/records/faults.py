"""Turns what the operating system says about a folder into one sentence for the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SENTENCES = {
    errno.EROFS: "is on a read-only file system: choose another folder",
    errno.EACCES: "may not be written by this user: choose another folder or change its rights",
    errno.EPERM: "may not be written by this user: choose another folder or change its rights",
    errno.ENOSPC: "is on a full disk: free some space, or choose another folder",
    errno.EDQUOT: "is over its disk quota: free some space, or choose another folder",
    errno.EFBIG: "may not hold a file this large: raise the file size limit (ulimit -f)",
    errno.ENOTDIR: "is not a folder, or lies under a file: choose another path",
    errno.EEXIST: "is not a folder: choose another path",
}


class StoreError(ValueError):
    """The store cannot be used; the text is one sentence with what to try."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise `StoreError` with one sentence about `path` for any error of the file system."""
    try:
        yield
    except TimeoutError as error:  # of a lock
        raise StoreError(
            f"the store {path} is slow or stuck: waited in vain for another process to finish "
            "writing; end what hangs, or choose another folder"
        ) from error
    except (OSError, NotImplementedError) as error:
        code = error.errno if isinstance(error, OSError) else None
        told = _SENTENCES.get(code or 0, f"cannot be used ({error}): choose another folder")
        raise StoreError(f"the store {path} {told}") from error
