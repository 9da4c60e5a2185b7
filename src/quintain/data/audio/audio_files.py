"""Read audio files as 16-bit mono, unchanged for published datasets, converted for user files.

libsndfile reads a truncated file as a shorter one without an error, so the headers of formats that
state a size (WAV, AIFF, AU) are parsed here. FLAC, MP3 and Ogg fail when they are decoded.
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.functional import resample

from quintain.data.files.problems import Problems, describe_read_error
from quintain.data.user_files.scan import FileKind, Metadata
from quintain.errors import DataError

_UNKNOWN_SIZE = 0x7FFFF000  # bytes; stated (or more) by writers that cannot seek
MAX_SECONDS = 10.0  # limit of an inferred length
OtherFormats = Literal["convert", "refuse"]


def probe_audio(path: Path) -> Metadata:
    """Return sample rate (Hz), channels, and samples per channel; check that the last can be read.

    Raises:
        DataError: the file is empty or truncated.
    """
    _check_not_truncated(path)
    with soundfile.SoundFile(path) as file:
        frames = file.frames
        if frames < 1:
            raise DataError("has no samples, or is cut off")
        file.seek(max(0, frames - 1))
        if len(file.read(1)) != 1:
            raise DataError(f"ends before its {frames:,} samples")
        return file.samplerate, file.channels, frames


AUDIO_FILES = FileKind(
    "recordings",
    frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au"}),
    probe_audio,
    version=2,
)


def read_mono_audio(path: Path, rate: int) -> Tensor:
    """Read a WAV or FLAC file as int16 (N,).

    Raises:
        DataError: it cannot be read, is empty or truncated, or is not mono at `rate` (Hz).
    """
    try:
        _check_not_truncated(path)
        samples, file_rate = soundfile.read(path, dtype="int16")
    except DataError as error:
        raise DataError(f"{path} {error}; download it again") from error
    except (OSError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        why = describe_read_error(error, path)
        raise DataError(f"{path} cannot be read as audio ({why}); download it again") from error
    if file_rate != rate or samples.ndim != 1:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        raise DataError(
            f"{path} has {file_rate} Hz and {channels} channels, expected {rate} Hz mono"
        )
    if not len(samples):
        raise DataError(f"{path} has no samples; download it again")
    return torch.from_numpy(samples)


def read_recording(path: Path, rate: int, longest: int) -> Tensor:
    """Read at most the first `longest` samples of an audio file as int16 (N,).

    Channels are averaged; the signal is resampled to `rate` (Hz) by torchaudio's windowed sinc
    filter.

    Raises:
        DataError: the file has fewer samples than its header states.
    """
    _check_not_truncated(path)
    with soundfile.SoundFile(path) as file:
        file_rate = file.samplerate
        # Read as floats, because libsndfile does not scale floats to integers.
        limit = math.ceil((longest + 1) * file_rate / rate)
        samples = file.read(limit, "float32", always_2d=True)
        if len(samples) < min(limit, file.frames):
            raise DataError(f"is damaged: {len(samples):,} of {file.frames:,} samples can be read")
    mono = torch.from_numpy(np.ascontiguousarray(samples.mean(axis=1)))
    if file_rate != rate:
        mono = resample(mono, file_rate, rate)
    return (mono[:longest] * 32768).round().clamp(-32768, 32767).short()


def resampled_length(metadata: Metadata, rate: int, longest: int) -> int:
    """Return the number of samples that `read_recording` returns for a file."""
    file_rate, _, frames = map(int, metadata)
    # torchaudio gives ⌈new · N / old⌉ samples, with the two rates in lowest terms.
    divisor = math.gcd(file_rate, rate)
    return min(longest, math.ceil((rate // divisor) * frames / (file_rate // divisor)))


def infer_audio_format(
    files: Sequence[Metadata],
    sample_rate: int | None,
    others: OtherFormats,
    seconds: float | None,
    problems: Problems,
) -> tuple[int, int, tuple[str, str]]:
    """Return the sample rate (Hz), the length of the longest sample, and notes on both.

    Args:
        files: metadata of each file.
        sample_rate: Hz; None: the most common rate, the lowest of them in a tie.
        others: whether to convert or refuse files with another rate or several channels.
        seconds: limit of the length; None: `MAX_SECONDS`.
        problems: collects invalid settings and refused files.
    """
    rate, rate_note = _infer_sample_rate(files, sample_rate, others, problems)
    if seconds is not None and not 0 < seconds < math.inf:
        problems.add(f"seconds must be a positive number, got {seconds}")
        seconds = None
    limit = MAX_SECONDS if seconds is None else seconds
    longest = max(resampled_length(file, rate, max(1, round(limit * rate))) for file in files)
    longer = sum(frames / file_rate > limit for file_rate, _, frames in files)
    note = f"; {longer:,} are longer and cut" if longer else ""
    length_note = f"at most {longest / rate:.3g} s of {len(files):,} recordings{note}"
    return rate, longest, (rate_note, length_note)


def _infer_sample_rate(
    files: Sequence[Metadata], sample_rate: int | None, others: OtherFormats, problems: Problems
) -> tuple[int, str]:
    rates = Counter(int(file_rate) for file_rate, *_ in files)
    common = min(rates, key=lambda rate: (-rates[rate], rate))
    rate = common if sample_rate is None else sample_rate
    multichannel = sum(channels > 1 for _, channels, _ in files)
    mixed = [f"{count:,} of {hz:,} Hz" for hz, count in sorted(rates.items()) if hz != rate]
    mixed += [f"{multichannel:,} of several channels"] if multichannel else []
    if others not in ("convert", "refuse"):
        problems.add(f"others must be convert or refuse, got {others!r}")
    if rate < 1:
        problems.add(f"sample_rate must be at least 1 Hz, got {rate}")
    if mixed and others == "refuse":
        problems.add(f"recordings that are not {rate:,} Hz mono: {', '.join(mixed)}")
    source = "as set"
    if sample_rate is None:
        source = f"of {rates[common]:,} of {len(files):,} recordings"
    converted = f"; resampled or averaged: {', '.join(mixed)}" if mixed else ""
    return max(1, rate), f"sample rate {rate:,} Hz ({source}){converted}"


def _check_not_truncated(path: Path) -> None:
    """Compare the size of the audio in the header with that of the file.

    Raises:
        DataError: the file is truncated; the message does not contain the file's name.
    """
    with path.open("rb") as file:
        stated = _stated_size(file)
        actual = max(0, os.fstat(file.fileno()).st_size - file.tell())
    if actual < stated < _UNKNOWN_SIZE:
        raise DataError(
            f"is cut off: its header states {stated:,} bytes of audio, but there are {actual:,}"
        )


def _stated_size(file: BinaryIO) -> int:
    """Return the bytes of audio that the header states, 0 if none; seek to the first one."""
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        return _find_chunk(file, b"data", "<I" if head[:4] == b"RIFF" else ">I")
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return _find_chunk(file, b"SSND", ">I")
    if head[:4] == b".snd" and len(head) == 12:
        start, size = struct.unpack(">II", head[4:])
        file.seek(start)
        return int(size)
    return 0


def _find_chunk(file: BinaryIO, name: bytes, size_format: str) -> int:
    """Return the size of the first chunk of that name, 0 if none; seek to its content.

    A chunk is a name of four bytes, a size of four, and the content, padded to even size (IFF).
    """
    while len(head := file.read(8)) == 8:
        (size,) = struct.unpack(size_format, head[4:])
        if head[:4] == name:
            return int(size)
        file.seek(size + size % 2, os.SEEK_CUR)
    return 0
