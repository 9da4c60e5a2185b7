"""Decode audio files to floats: by libsndfile, and what it does not know by FFmpeg.

Legend: N samples of a channel, C channels.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soundfile

from quintain.data.audio.mp3 import extract_mp3_frames, is_mp3
from quintain.data.files.ffmpeg import open_with_ffmpeg
from quintain.data.files.truncation import check_complete
from quintain.errors import DataError

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.container import InputContainer

_LIBSNDFILE = (
    *(b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"fLaC", b"OggS", b"ID3\2", b"ID3\3"),
    b"ID3\4",
)
"""First bytes of files that libsndfile reads."""
_FIRST_OGG_PAGE = b"OggS\0\2"  # how the first page of a stream begins
_UNKNOWN_FORMAT = 1  # error number of libsndfile
BLOCK = 65_536  # samples of a channel that are decoded together

Floats = npt.NDArray[np.float32]


class SampleType(IntEnum):
    """How a file stores its samples; all but FLOAT have a known range, which decodes to ±1."""

    INT16 = 0  # integers of at most 16 bits
    INT32 = 1  # longer integers
    LOSSY = 2  # such as MP3, Vorbis, Opus and AAC, whose decoders can slightly exceed ±1
    FLOAT = 3  # floating-point numbers of any range


@dataclass(frozen=True)
class AudioStream:
    """An open file: sample rate (Hz), and samples as blocks (N, C), which can be read once."""

    rate: int
    channels: int
    sample_type: SampleType
    blocks: Iterator[Floats]


@contextmanager
def open_audio(path: Path) -> Iterator[AudioStream]:
    """Open an audio file, or the first sound track of a video.

    Raises:
        DataError: the file is cut off or damaged, or its format is unknown.
    """
    check_complete(path)
    with ExitStack() as stack:
        yield _open_stream(path, stack)


def _open_stream(path: Path, stack: ExitStack) -> AudioStream:
    try:
        _check_known_to_libsndfile(path)
        frames = extract_mp3_frames(path.read_bytes()) if is_mp3(path) else b""
        # libsndfile returns at most as many samples as it believes to be in a file, but all samples
        # of a pipe, whose length it cannot know.
        source = stack.enter_context(_pipe(frames)) if frames else path
        sound = stack.enter_context(_SequentialFile(source, closefd=False))
        if frames or not _has_wrong_length(sound, path):
            blocks = _read_blocks(sound, stated=0 if frames else sound.frames)
            kind = _sample_type(sound.subtype)
            return AudioStream(sound.samplerate, sound.channels, kind, blocks)
        reason = "libsndfile does not know its length"
    except soundfile.LibsndfileError as error:
        reason = f"libsndfile: {error.error_string}"
    try:
        return stack.enter_context(_open_with_ffmpeg(path))
    except DataError as error:
        raise DataError(f"{error}; {reason}") from error


def _check_known_to_libsndfile(path: Path) -> None:
    """Raise LibsndfileError for formats whose damaged files can crash libsndfile, such as CAF."""
    with path.open("rb") as file:
        head = file.read(4)
    if head not in _LIBSNDFILE and not is_mp3(path):
        raise soundfile.LibsndfileError(_UNKNOWN_FORMAT)


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read from its start to its end, block by block.

    Of a seekable file, soundfile would seek after each block, which disturbs the decoder of MP3.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def _pipe(content: bytes) -> Iterator[int]:
    """Write bytes to a pipe in a thread; yield the descriptor from which they can be read."""
    source, sink = os.pipe()

    def write() -> None:
        try:
            with open(sink, "wb") as file:
                file.write(content)
        except BrokenPipeError:
            pass  # the caller read only the beginning

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield source
    finally:
        os.close(source)
        thread.join()


def _has_wrong_length(sound: soundfile.SoundFile, path: Path) -> bool:
    """Whether libsndfile estimates the length of a file, or knows only that of its first part.

    A program that cannot seek writes a length of 0, or none, and then samples.
    """
    if sound.format == "OGG" and path.read_bytes().count(_FIRST_OGG_PAGE) > 1:
        return True  # several streams, one after the other
    return bool(sound.subtype.startswith("MPEG") or not 0 < sound.frames < 2**60)


def _read_blocks(sound: soundfile.SoundFile, stated: int) -> Iterator[Floats]:
    """Yield all samples; raise DataError if there are fewer than the header states."""
    count = 0
    total = f" of {stated:,}" if stated else ""
    try:
        while len(block := sound.read(BLOCK, "float32", always_2d=True)):
            count += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"is cut off or damaged after {count:,}{total} samples ({error.error_string})"
        ) from error
    if count < stated:
        raise DataError(f"is cut off: {count:,}{total} samples can be read")


def _sample_type(subtype: str) -> SampleType:
    """Return the type of samples for the name of a subtype of libsndfile."""
    if subtype in ("FLOAT", "DOUBLE"):
        return SampleType.FLOAT
    if subtype in ("VORBIS", "OPUS") or subtype.startswith("MPEG"):
        return SampleType.LOSSY
    is_long = subtype.endswith(("_20", "_24", "_32", "_N"))
    return SampleType.INT32 if is_long else SampleType.INT16


@contextmanager
def _open_with_ffmpeg(path: Path) -> Iterator[AudioStream]:
    with open_with_ffmpeg(path) as file:
        if not file.streams.audio:
            raise DataError("has no sound")
        codec = file.streams.audio[0].codec_context
        if codec is None or codec.format is None:
            raise DataError("cannot be decoded (its sound is damaged or of an unknown format)")
        yield AudioStream(codec.sample_rate, codec.channels, _codec_type(codec), _decode(file))


def _decode(file: InputContainer) -> Iterator[Floats]:
    from av.audio.resampler import AudioResampler

    to_floats = AudioResampler(format="fltp")  # the sample rate is kept
    for frame in file.decode(file.streams.audio[0]):
        for converted in to_floats.resample(frame):
            yield np.ascontiguousarray(converted.to_ndarray().T)


def _codec_type(codec: AudioCodecContext) -> SampleType:
    """Return the type of samples that a decoder of FFmpeg returns."""
    if codec.format.name.startswith(("flt", "dbl")):
        return SampleType.FLOAT if codec.name.startswith("pcm_f") else SampleType.LOSSY
    return SampleType.INT16 if codec.format.bytes <= 2 else SampleType.INT32
