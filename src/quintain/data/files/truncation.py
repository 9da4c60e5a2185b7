"""Find files that are cut off, from the sizes that their containers state.

libsndfile and FFmpeg read such a file as a shorter one, without an error. A container consists of
parts: a name, a size, and that many bytes. The file is cut off if a part ends behind its end. Files
that state no sizes (MP3 without a header, MPEG program streams) cannot be found in this way.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from quintain.errors import DataError

_UNKNOWN_SIZE = 0x7FFFF000  # bytes; stated (or more) by writers that cannot seek
_LONGEST_OGG_PAGE = 65_307  # bytes
_MP4_PARTS = (
    *(b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"),
    *(b"mfra", b"sidx", b"meta", b"udta", b"pdin", b"ssix", b"prft", b"emsg"),
)
_MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
_FLV_TAGS = (8, 9, 18)  # audio, video, text
_WAVE_NAMES = (b"RIFF", b"RIFX", b"RF64", b"BW64")


class Part(NamedTuple):
    """A part of a container: what it holds, its first byte, and the bytes that it should have."""

    name: str
    start: int
    size: int


def check_complete(path: Path) -> None:
    """Compare the sizes that a sound or video file states with its own.

    Raises:
        DataError: the file is cut off; the message does not contain the file's name.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for part in _find_parts(file, size):
            if part.start + part.size > size:
                raise DataError(
                    f"is cut off: its header states {part.size:,} bytes of {part.name}, but there "
                    f"are {max(0, size - part.start):,}"
                )


def _find_parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """Return the parts of a file that has a known container; their sizes are stated in it."""
    head = file.read(400)
    name, kind = head[:4], head[8:12]
    if name in _WAVE_NAMES and kind == b"WAVE":
        return _wave_parts(file, ">I" if name == b"RIFX" else "<I")
    if name == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return _audio_chunk(file, 12, ">I", "SSND")
    if name == b"RIFF" and kind == b"AVI ":
        return _avi_parts(file)
    if name == b".snd":
        return _au_parts(head)
    if name == b"caff":
        return _audio_chunk(file, 8, ">q", "data")
    if name == b"riff" and head[24:28] == b"wave":  # Wave64
        return iter([Part("audio", 0, int.from_bytes(head[16:24], "little"))])
    if head[4:8] in _MP4_PARTS:
        return _mp4_parts(file, size)
    if name == b"\x1aE\xdf\xa3":
        return _matroska_parts(file, size)
    if name == b"OggS":
        return _ogg_parts(file, size)
    if name == b"FLV\1":
        return _flv_parts(file, size)
    if head[:1] == head[188:189] == head[376:377] == b"G":  # an MPEG transport stream
        return _ts_parts(file, size)
    return iter(())


def _chunks(file: BinaryIO, start: int, size_format: str) -> Iterator[Part]:
    """Yield the chunks of IFF, RIFF (sizes of 32 bits, padded to even ones) or CAF (64 bits)."""
    length = struct.calcsize(size_format)
    end = os.fstat(file.fileno()).st_size
    while start + 4 + length <= end:
        file.seek(start)
        head = file.read(4 + length)
        (size,) = struct.unpack(size_format, head[4:])
        if size < 0:  # CAF: up to the end
            return
        yield Part(head[:4].decode("latin-1"), start + 4 + length, size)
        start += 4 + length + size + (size % 2 if length == 4 else 0)


def _audio_chunk(file: BinaryIO, start: int, size_format: str, name: str) -> Iterator[Part]:
    """Yield the first chunk of that name."""
    for part in _chunks(file, start, size_format):
        if part.name == name:
            yield Part("audio", part.start, part.size)
            return


def _wave_parts(file: BinaryIO, size_format: str) -> Iterator[Part]:
    """Yield the audio; RF64 states its size in a chunk `ds64`.

    Raises:
        DataError: there is no audio.
    """
    wide = 0
    for name, start, size in _chunks(file, 12, size_format):
        if name == "ds64":
            file.seek(start + 8)
            wide = int.from_bytes(file.read(8), "little")
        if name == "data":
            if wide or size < _UNKNOWN_SIZE:
                yield Part("audio", start, wide or size)
            return
    raise DataError("is cut off: it has a header but no audio")


def _avi_parts(file: BinaryIO) -> Iterator[Part]:
    """Yield each RIFF chunk; a file over 1 GB has several."""
    for name, start, size in _chunks(file, 0, "<I"):
        if name != "RIFF" or not 0 < size < 0xFFFFFFFF:
            return
        yield Part("video", start, size)


def _au_parts(head: bytes) -> Iterator[Part]:
    start, size = struct.unpack(">II", head[4:12].ljust(8, b"\0"))
    if size < _UNKNOWN_SIZE:
        yield Part("audio", start, size)


def _mp4_parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield each box of MP4, QuickTime or 3GP.

    Raises:
        DataError: there is no index, which a recorder writes last.
    """
    start = 0
    names: set[bytes] = set()
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, names = int.from_bytes(head[:4], "big"), names | {head[4:8]}
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or head[4:8] not in _MP4_PARTS:  # 0: up to the end of the file
            break
        yield Part("video or audio", start, length)
        start += length
    if b"moov" not in names:
        raise DataError("is cut off: it has no index (moov), which is written last")


def _matroska_parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield each element of Matroska or WebM up to the end of the segment.

    Of an element without a size, the elements in it are yielded. The number of leading zero bits of
    an ID and of a size tells how many bytes it has.
    """
    start = 0
    while start < size:
        file.seek(start)
        head = file.read(12).ljust(12, b"\0")
        id_length = 9 - head[0].bit_length()
        length = 9 - head[min(id_length, 11)].bit_length()
        if id_length > 4 or length > 8:
            return
        bits = (1 << 7 * length) - 1
        stated = int.from_bytes(head[id_length : id_length + length], "big") & bits
        start += id_length + length
        if stated != bits:  # all bits set: unknown
            yield Part("video or audio", start, stated)
            if head.startswith(_MATROSKA_SEGMENT):
                return
            start += stated


def _ogg_parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield the last page."""
    file.seek(max(0, size - _LONGEST_OGG_PAGE))
    tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:]
    if start >= 0:
        length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else 27
        yield Part("its last page", size - len(page), length)


def _flv_parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield each tag: a header of 11 bytes, its content, and four bytes with its size."""
    start = 13
    while start < size:
        file.seek(start)
        head = file.read(4)
        if head[0] not in _FLV_TAGS:
            return
        length = 15 + int.from_bytes(head[1:], "big")
        yield Part("video or audio", start, length)
        start += length


def _ts_parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """Yield the last packet, unless other bytes follow the packets."""
    start = size - size % 188
    file.seek(start)
    if file.read(1) == b"G":
        yield Part("a packet", start, 188)
