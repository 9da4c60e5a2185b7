"""Whether a sound file is cut off: its header promises more than there is.

libsndfile takes such a file for a shorter one and says nothing, so the headers of the formats that
state a size (WAV, AIFF, AU) are read here. FLAC, MP3 and Ogg show it when they are decoded.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from quintain.kit.files.download import DataError

_UNKNOWN = 0x7FFFF000  # bytes; so much or more is what a writer states that cannot go back


def check_whole(path: Path) -> None:
    """Compare the size of the sound that the header states with what there is.

    Raises:
        DataError: some of it is missing; the text goes behind the file's name.
    """
    with path.open("rb") as file:
        promised = _promised(file)
        there = max(0, os.fstat(file.fileno()).st_size - file.tell())
    if there < promised < _UNKNOWN:
        raise DataError(
            f"is cut off: its header promises {promised:,} bytes of sound, but {there:,} are there"
        )


def _promised(file: BinaryIO) -> int:
    """Bytes of sound by the header, with the file at the first of them; 0: it does not say."""
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        return _chunk(file, b"data", "<I" if head[:4] == b"RIFF" else ">I")
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return _chunk(file, b"SSND", ">I")
    if head[:4] == b".snd" and len(head) == 12:
        start, size = struct.unpack(">II", head[4:])
        file.seek(start)
        return int(size)
    return 0


def _chunk(file: BinaryIO, name: bytes, size_format: str) -> int:
    """The size of the first chunk of that name, with the file at its content; 0: there is none.

    Chunks are a name of four bytes, a size of four, and so many bytes and one more if odd (IFF).
    """
    while len(head := file.read(8)) == 8:
        (size,) = struct.unpack(size_format, head[4:])
        if head[:4] == name:
            return int(size)
        file.seek(size + size % 2, os.SEEK_CUR)
    return 0
