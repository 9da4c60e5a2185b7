"""The names and inodes of a large folder, without a Python object for each.

Linux only: getdents64(2), whose entries of names of one length have one size. Elsewhere, and in
folders of other names, there is `os.scandir`, which takes three times as long.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

BUFFER = 2**20  # bytes a call
HEAD = 19  # bytes before a name: inode (8), offset (8), length of the entry (2), type (1)
_LENGTH = slice(16, 18)


class Entries(NamedTuple):
    """One row a file: its name (n, size) and inode (n,)."""

    names: NDArray[numpy.uint8]
    inodes: NDArray[numpy.uint64]


def entries(folder: Path, size: int) -> Entries | None:
    """All files of a folder whose names have all `size` bytes, over 4; None where some have not.

    None also where the system cannot be asked so. (Entries of shorter names are as long as those
    of the folder itself and its parent.)

    Raises:
        OSError: the folder cannot be read.
    """
    asked = _getdents()
    if asked is None or size <= 4:
        return None
    found = []
    for block in _blocks(folder, asked):
        rows = _rows(block, size)
        if rows is None:
            return None
        found.append(rows)
    whole = numpy.concatenate(found) if found else numpy.empty((0, _width(size)), numpy.uint8)
    names = whole[:, HEAD : HEAD + size]
    if not (names.all() and not whole[:, HEAD + size].any()):  # it ends there, and not before
        return None
    inodes = numpy.ascontiguousarray(whole[:, :8]).view(numpy.uint64).ravel()
    return Entries(names, inodes)


def _getdents() -> Any:
    """glibc's and musl's function; None where there is none."""
    try:
        found = ctypes.CDLL(None, use_errno=True).getdents64
    except (AttributeError, OSError, TypeError):  # not in this C library; or no such library
        return None
    found.restype = ctypes.c_ssize_t
    found.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    return found


def _blocks(folder: Path, getdents: Any) -> Iterator[bytes]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        buffer = (ctypes.c_char * BUFFER)()
        while (got := getdents(handle, buffer, BUFFER)) > 0:
            yield bytes(memoryview(buffer)[:got])
        if got < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


def _width(size: int) -> int:
    """Bytes of an entry: its name ends with a zero, and entries start at multiples of eight."""
    return -(-(HEAD + size + 1) // 8) * 8


def _rows(block: bytes, size: int) -> NDArray[numpy.uint8] | None:
    """The entries of one block as rows, the folder itself and its parent left out."""
    width, place, found = _width(size), 0, []
    while place < len(block):
        count = (len(block) - place) // width
        rows = numpy.frombuffer(block, numpy.uint8, count * width, place).reshape(count, width)
        regular = (numpy.ascontiguousarray(rows[:, _LENGTH]).view(numpy.uint16) == width).ravel()
        good = count if regular.all() else int(regular.argmin())
        found.append(rows[:good])
        place += good * width
        if place < len(block):  # an entry of another size
            length = int.from_bytes(block[place:][_LENGTH], "little")
            if block[place + HEAD : place + length].split(b"\0")[0] not in (b".", b".."):
                return None
            place += length
    return numpy.concatenate(found)
