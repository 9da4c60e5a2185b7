"""Read audio files, unchanged as 16-bit mono for published datasets, converted for user files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.functional import resample

from quintain.data.audio.decoding import open_audio
from quintain.data.audio.mp3 import is_mp3
from quintain.data.files.problems import describe_read_error
from quintain.data.files.truncation import check_complete
from quintain.data.user_files.scan import FileKind, Metadata
from quintain.errors import DataError

MAX_RATE = 1_000_000  # Hz; resampling from a larger rate would need too much memory
_EXTENSIONS = (
    # libsndfile
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au"),
    *(".snd", ".w64", ".rf64"),
    # FFmpeg; containers of video can hold sound alone
    *(".caf", ".voc", ".sph", ".nist"),
    *(".m4a", ".m4b", ".aac", ".ac3", ".eac3", ".amr", ".wma", ".mka", ".weba", ".webm", ".mp2"),
    *(".ape", ".wv", ".tta", ".tak", ".mpc", ".spx", ".dsf", ".dts", ".mp4", ".3gp", ".3g2"),
)
_SIGNATURES = (
    *((0, name) for name in (b"RIFF", b"RIFX", b"RF64", b"fLaC", b".snd", b"caff", b"#!AMR")),
    *((0, name) for name in (b"NIST_1A", b"Creative Voice File", b"OggS", b"ID3", b"wvpk")),
    *((0, name) for name in (b"riff", b"\xff\xf1", b"\xff\xf9", b"MAC ", b"TTA1")),
    *((8, name) for name in (b"AIFF", b"AIFC", b"M4A ", b"M4B ")),
)
"""Bytes at a position by which a recording is known whose name has another extension, or none."""


def probe_audio(path: Path) -> Metadata:
    """Decode an audio file.

    Returns:
        Sample rate (Hz), channels, samples per channel, the largest absolute value of the mean of
        the channels, and the `SampleType`.

    Raises:
        DataError: the file is empty, cut off or damaged, or has values that are no numbers.
    """
    count, peak = 0, 0.0
    with open_audio(path) as stream:
        if stream.rate > MAX_RATE:
            raise DataError(f"states a sample rate of {stream.rate:,} Hz, more than {MAX_RATE:,}")
        for block in stream.blocks:
            count += len(block)
            with np.errstate(over="ignore", invalid="ignore"):
                mono = np.abs(block.mean(axis=1))
            if not np.isfinite(mono).all():
                first = count - len(block) + int(np.argmin(np.isfinite(mono)))
                raise DataError(
                    f"has values that are NaN or infinite, the first at {first / stream.rate:.3f} s"
                )
            peak = max(peak, float(mono.max()))
    if not count:
        raise DataError("has no samples, or is cut off")
    return stream.rate, stream.channels, count, peak, float(stream.sample_type)


def recognize_audio(path: Path) -> bool:
    """Whether a file begins like a recording of a common format."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
        is_other_riff = head[:3] == b"RIF" and head[8:12] != b"WAVE"
        has_signature = any(head[at:].startswith(name) for at, name in _SIGNATURES)
        return (has_signature and not is_other_riff) or is_mp3(path)
    except OSError:
        return False


AUDIO_FILES = FileKind(
    "recordings", frozenset(_EXTENSIONS), probe_audio, version=3, recognize=recognize_audio
)


def read_mono_audio(path: Path, rate: int) -> Tensor:
    """Read a WAV or FLAC file as int16 (N,).

    Raises:
        DataError: it cannot be read, is empty or truncated, or is not mono at `rate` (Hz).
    """
    try:
        check_complete(path)
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


def read_recording(
    path: Path, rate: int, longest: int, full_scale: float = 1.0, *, as_float: bool = False
) -> Tensor:
    """Read at most the first `longest` samples of an audio file, as int16 (N,) or as floats.

    Channels are averaged; values are divided by `full_scale`; the signal is resampled to `rate`
    (Hz) by torchaudio's windowed sinc filter. A signal that exceeds ±1 afterwards, as decoders of
    lossy formats and resampling can cause, is divided by its largest absolute value.

    Args:
        as_float: return float32, which keeps values that are silence in 16 bits.

    Raises:
        DataError: the file is cut off or damaged.
    """
    blocks, count = [], 0
    with open_audio(path) as stream:
        limit = math.ceil((longest + 1) * stream.rate / rate)
        for block in stream.blocks:
            blocks.append(block[: limit - count].mean(axis=1))
            count += len(blocks[-1])
            if count >= limit:
                break
    mono = torch.from_numpy(np.concatenate(blocks)) / full_scale
    if stream.rate != rate:
        mono = resample(mono, stream.rate, rate)
    mono = mono[:longest]
    mono = mono / mono.abs().max().clamp(min=1)
    return mono if as_float else (mono * 32768).round().clamp(-32768, 32767).short()


def resampled_length(metadata: Metadata, rate: int, longest: int) -> int:
    """Return the number of samples that `read_recording` returns for a file."""
    file_rate, _, frames, *_ = map(int, metadata)
    # torchaudio gives ⌈new · N / old⌉ samples, with the two rates in lowest terms.
    divisor = math.gcd(file_rate, rate)
    return min(longest, math.ceil((rate // divisor) * frames / (file_rate // divisor)))
