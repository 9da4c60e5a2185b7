"""Sound files of any rate and number of channels → 16 bits, mono, at one rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.functional import resample

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems
from quintain.kit.media.whole import check_whole
from quintain.kit.own.scan import Facts, Kind

MOST_SECONDS = 10.0  # of an inferred length
Others = Literal["convert", "refuse"]


def probe(path: Path) -> Facts:
    """Open a sound file and read its end: sample rate in Hz, channels, samples of a channel."""
    check_whole(path)
    with soundfile.SoundFile(path) as sound:
        frames = sound.frames
        if frames < 1:
            raise DataError("has no samples, or is cut off")
        sound.seek(max(0, frames - 1))
        if len(sound.read(1)) != 1:
            raise DataError(f"ends before its {frames:,} samples")
        return sound.samplerate, sound.channels, frames


SOUNDS = Kind(
    "recordings",
    frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au"}),
    probe,
    version=2,
)


def read_recording(path: Path, rate: int, longest: int) -> Tensor:
    """A sound file → int16 (N,), N ≤ longest.

    Channels are averaged. Another rate is brought to `rate` by torchaudio's windowed sinc filter.

    Args:
        path: of the file.
        rate: Hz.
        longest: samples at `rate`; what is behind them is not read.

    Raises:
        DataError: the file is cut off or damaged, so that less comes than it says.
    """
    check_whole(path)
    with soundfile.SoundFile(path) as sound:
        own = sound.samplerate
        # Read as floats, whatever the file holds: libsndfile does not scale floats to integers.
        most = math.ceil((longest + 1) * own / rate)
        some = sound.read(most, "float32", always_2d=True)
        if len(some) < min(most, sound.frames):
            raise DataError(f"is damaged: {len(some):,} of {sound.frames:,} samples can be read")
    mono = torch.from_numpy(np.ascontiguousarray(some.mean(axis=1)))
    if own != rate:
        mono = resample(mono, own, rate)
    return (mono[:longest] * 32768).round().clamp(-32768, 32767).short()


def steps(facts: Facts, rate: int, longest: int) -> int:
    """How many samples `read_recording` gives for a file of which `probe` said this."""
    own, _, frames = map(int, facts)
    least = math.gcd(own, rate)  # torchaudio gives ⌈new · N / old⌉ with the rates in lowest terms
    return min(longest, math.ceil((rate // least) * frames / (own // least)))


def infer_rate(
    files: Sequence[Facts], asked: int | None, others: Others, problems: Problems
) -> tuple[int, str]:
    """The sample rate of all recordings, and a note on it and on what will be converted.

    Args:
        files: what `probe` said of each.
        asked: Hz; None: the rate that most files have, of equal ones the lower.
        others: what to do with files of another rate or of several channels.
        problems: notes what is refused.
    """
    rates = Counter(int(own) for own, *_ in files)
    common = min(rates, key=lambda rate: (-rates[rate], rate))
    rate = common if asked is None else asked
    several = sum(channels > 1 for _, channels, _ in files)
    other = {f"{own:,} Hz": count for own, count in sorted(rates.items()) if own != rate}
    mixed = [f"{count:,} of {name}" for name, count in other.items()]
    mixed += [f"{several:,} of several channels"] if several else []
    if others not in ("convert", "refuse"):
        problems.add(f"others is convert or refuse, came {others!r}")
    if rate < 1:
        problems.add(f"sample_rate must be at least 1 Hz, came {rate}")
    if mixed and others == "refuse":
        problems.add(f"recordings that are not {rate:,} Hz mono: {', '.join(mixed)}")
    how = f"of {rates[common]:,} of {len(files):,} recordings" if asked is None else "as asked"
    done = f"; resampled or averaged: {', '.join(mixed)}" if mixed else ""
    return max(1, rate), f"sample rate {rate:,} Hz ({how}){done}"


def infer_length(
    files: Sequence[Facts], rate: int, seconds: float | None, problems: Problems
) -> tuple[int, str]:
    """The longest sound in samples at `rate`, and a note on what is cut off behind it.

    Args:
        files: what `probe` said of each.
        rate: Hz.
        seconds: the limit; None: the longest of them, at most `MOST_SECONDS`.
        problems: notes a limit that is no positive length.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        problems.add(f"seconds must be a positive number, came {seconds}")
        seconds = None
    lasting = [frames / own for own, _, frames in files]
    limit = MOST_SECONDS if seconds is None else seconds
    most = max(1, round(limit * rate))
    longest = max(steps(facts, rate, most) for facts in files)
    over = sum(one > limit for one in lasting)
    cut = f"; {over:,} are cut there" if over else ""
    return longest, f"at most {longest / rate:.3g} s of {len(files):,} recordings{cut}"
