"""Count the frames of MP3 files, because decoders trust the length that a file states.

An MP3 file is a sequence of frames. The first one may hold no sound but the number of frames that
follow (the "Xing" or "Info" header); without it, libsndfile estimates the length from the size of
the file and the first bit rate. Both can be wrong: in joined files, in recordings of a variable bit
rate, and where a tag is counted as sound.
"""

from __future__ import annotations

import struct
from pathlib import Path

from quintain.errors import DataError

_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_BIT_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_OTHER_FORMATS = (b"RIFF", b"FORM", b"OggS", b"fLaC", b"\x1aE\xdf\xa3")
_KIND_BITS = b"\xff\xfe\x0c\x00"


def is_mp3(path: Path) -> bool:
    """Whether a file begins with a frame of MPEG layer III or an ID3 tag, or is named .mp3.

    A file of another format can have that name.
    """
    with path.open("rb") as file:
        head = file.read(8)
    is_frame = len(head) == 8 and _frame_length(head[:4]) > 0
    is_other = head[:4] in _OTHER_FORMATS or head[4:] == b"ftyp"
    return is_frame or head.startswith(b"ID3") or (path.suffix.lower() == ".mp3" and not is_other)


def extract_mp3_frames(content: bytes) -> bytes:
    """Return the frames of an MP3 file without tags and other bytes between them.

    A header that states the right number of frames is kept, since it also tells how much silence
    the encoder added.

    Returns:
        b"" if there are not two frames of MPEG layer III one after the other.

    Raises:
        DataError: the file has fewer frames than its header states.
    """
    frames, is_cut = _find_frames(content)
    stated = _stated_count(content[slice(*frames[0])]) if frames else None
    if stated is not None:
        count = len(frames) - 1
        if count < stated - 1 or (count < stated and is_cut):
            raise DataError(f"is cut off: its header states {stated:,} frames, but has {count:,}")
        if count > stated:
            del frames[0]
    return b"".join(content[start:end] for start, end in frames)


def _find_frames(content: bytes) -> tuple[list[tuple[int, int]], bool]:
    """Return first and last byte (exclusive) of each complete frame; whether the last is cut."""
    frames: list[tuple[int, int]] = []
    start = 0
    while 0 <= start <= len(content) - 4:
        if content.startswith(b"ID3", start):
            start += _tag_length(content[start : start + 10])
            continue
        end = start + _frame_length(content[start : start + 4])
        kind = _frame_kind(content, start)
        is_next = bool(frames) and frames[-1][1] == start
        if end > start and (not frames or kind == _frame_kind(content, frames[0][0])):
            # Bytes like those of a frame header can occur anywhere, so a second one must follow.
            if is_next and end > len(content):
                return frames, True
            if is_next or _frame_kind(content, end) == kind:
                frames.append((start, end))
                start = end
                continue
        start = content.find(b"\xff", start + 1)
    return frames, False


def _frame_kind(content: bytes, start: int) -> tuple[int, ...]:
    """Return the bits of a frame header that are equal in all frames: version and sample rate."""
    return tuple(map(int.__and__, content[start : start + 4], _KIND_BITS))


def _frame_length(header: bytes) -> int:
    """Return the bytes of a frame of layer III with its header of 4 bytes; 0 if it is none."""
    first, second, third, _ = header
    version, bit_rate, sample_rate = second >> 3 & 3, third >> 4, third >> 2 & 3
    is_layer_3 = first == 0xFF and second & 0xE6 == 0xE2 and version != 1
    if not is_layer_3 or bit_rate in (0, 15) or sample_rate == 3:
        return 0
    rates = _BIT_RATES_1 if version == 3 else _BIT_RATES_2
    bits = (144_000 if version == 3 else 72_000) * rates[bit_rate]
    return bits // _SAMPLE_RATES[version][sample_rate] + (third >> 1 & 1)


def _tag_length(tag: bytes) -> int:
    """Return the length of an ID3 tag, from the last 7 bits of each of its bytes 6 to 9."""
    size = 0
    for byte in tag[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _stated_count(frame: bytes) -> int | None:
    """Return the number of frames that a header states, 0 if none; None if it is none."""
    found = [at for name in (b"Xing", b"Info") if (at := frame.find(name, 4, 46)) > 0]
    if not found:
        return None
    flags, count = struct.unpack(">II", frame[found[0] + 4 : found[0] + 12])
    return int(count) if flags & 1 else 0
