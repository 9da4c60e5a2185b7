"""Choose one sample rate, length and range for a user's recordings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from quintain.data.audio.audio_files import read_recording, resampled_length
from quintain.data.audio.decoding import SampleType
from quintain.data.files.problems import Problems, abbreviate, printable_name
from quintain.data.user_files.scan import Metadata, count_extensions

MAX_SECONDS = 10.0  # limit of an inferred length
INTEGER_RANGES = (2.0**15, 2.0**23, 2.0**31)  # of samples of 16, 24 and 32 bits
LARGE = 256.0  # floating-point samples with a larger peak are taken for integers
QUIET_SET = 0.01  # recordings whose largest peak is smaller are amplified
_FLOATING = "floating-point recordings"
QUIET = 0.001  # of full scale; recordings with a smaller peak are named

OtherFormats = Literal["convert", "refuse"]
Files = Mapping[Path, Metadata]
"""The metadata of each recording, see `probe_audio`."""


@dataclass(frozen=True)
class AudioFormat:
    """How the recordings of a set are read.

    Attributes:
        rate: sample rate in Hz.
        longest: number of samples of the longest sample.
        full_scale: value that becomes 1, of the files that `is_other` does not choose.
        other_full_scale: the same of floating-point files with a peak above `other_above`.
        as_float: whether samples are stored as floats, because some are silence in 16 bits.
        notes: on what was inferred, for users.
    """

    rate: int
    longest: int
    full_scale: float = 1.0
    other_full_scale: float = 1.0
    other_above: float = math.inf
    as_float: bool = False
    notes: tuple[str, ...] = ()

    def length(self, metadata: Metadata) -> int:
        """Return the number of samples that `read` returns."""
        return resampled_length(metadata, self.rate, self.longest)

    def scale(self, metadata: Metadata) -> float:
        """Return the value of a file that becomes 1."""
        *_, peak, sample_type = metadata
        is_other = sample_type == SampleType.FLOAT and peak > self.other_above
        return self.other_full_scale if is_other else self.full_scale

    def read(self, path: Path, metadata: Metadata) -> Tensor:
        """Return a recording as int16 or float32 (N,), see `read_recording`."""
        scale = self.scale(metadata)
        return read_recording(path, self.rate, self.longest, scale, as_float=self.as_float)


def infer_audio_format(
    files: Files,
    sample_rate: int | None,
    others: OtherFormats,
    seconds: float | None,
    full_scale: float | None,
    problems: Problems,
) -> AudioFormat:
    """Choose how recordings are read.

    Args:
        files: metadata of each file.
        sample_rate: Hz; None: the most common rate, the lowest of them in a tie.
        others: whether to convert or refuse files with another rate or several channels.
        seconds: limit of the length; None: `MAX_SECONDS`.
        full_scale: value of floating-point files that becomes 1; None: see `_infer_ranges`.
        problems: collects invalid settings and refused files.
    """
    metadata = list(files.values())
    rate, rate_note = _infer_sample_rate(metadata, sample_rate, others, problems)
    if seconds is not None and not 0 < seconds < math.inf:
        problems.add(f"seconds must be a positive number, got {seconds}")
        seconds = None
    limit = MAX_SECONDS if seconds is None else seconds
    longest = max(resampled_length(file, rate, max(1, round(limit * rate))) for file in metadata)
    longer = sum(frames / file_rate > limit for file_rate, _, frames, *_ in metadata)
    note = f"; {longer:,} are longer and cut" if longer else ""
    length_note = f"at most {longest / rate:.3g} s of {len(files):,} recordings{note}"
    audio_format = AudioFormat(rate, longest, notes=(rate_note, length_note))
    if full_scale is None:
        audio_format = _infer_ranges(files, audio_format)
    else:
        audio_format = _set_range(files, audio_format, full_scale, problems)
    return _describe_levels(files, audio_format)


def _infer_sample_rate(
    files: Sequence[Metadata], sample_rate: int | None, others: OtherFormats, problems: Problems
) -> tuple[int, str]:
    rates = Counter(int(file_rate) for file_rate, *_ in files)
    common = min(rates, key=lambda rate: (-rates[rate], rate))
    rate = common if sample_rate is None else sample_rate
    multichannel = sum(channels > 1 for _, channels, *_ in files)
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


def _set_range(
    files: Files, audio_format: AudioFormat, full_scale: float, problems: Problems
) -> AudioFormat:
    """Return the format with the user's range of floating-point files, which none may exceed."""
    if not 0 < full_scale < math.inf:
        problems.add(f"range must be a positive number, got {full_scale}")
        return audio_format
    floats = _peaks(files, lambda sample_type: sample_type == SampleType.FLOAT)
    if beyond := {path: peak for path, peak in floats.items() if peak > full_scale}:
        problems.add(
            f"{_count(beyond, floats, _FLOATING)} exceed range={full_scale:g}: "
            f"{_name_peaks(beyond)}; set range={max(beyond.values()):.6g} or more"
        )
    note = f"{len(floats):,} floating-point recordings are divided by range={full_scale:g}"
    return replace(
        audio_format,
        other_full_scale=float(full_scale),
        other_above=-1.0,
        notes=(*audio_format.notes, note),
    )


def _infer_ranges(files: Files, audio_format: AudioFormat) -> AudioFormat:
    """Return the format with the ranges of floating-point files, and of a quiet set.

    The range is 1 unless a peak is larger. If some peaks are at least `LARGE` and all others at
    most 1, the former files hold integers, as many programs write them. Otherwise all files have
    one range: that of integers if a peak is at least `LARGE`, else the largest peak.
    """
    floats = _peaks(files, lambda sample_type: sample_type == SampleType.FLOAT)
    beyond = {path: peak for path, peak in floats.items() if peak > 1}
    if beyond:
        has_usual = any(0 < peak <= 1 for peak in floats.values())
        has_two_ranges = has_usual and min(beyond.values()) >= LARGE
        largest = max(beyond.values())
        ranges = [limit for limit in INTEGER_RANGES if LARGE <= largest <= limit]
        full_scale = min(ranges, default=largest)
        divisor = f"{full_scale:,.0f}" if ranges else f"{full_scale:.6g}"
        divided = "these are" if has_two_ranges else f"all {len(floats):,} are"
        note = (
            f"{_count(beyond, floats, _FLOATING)} exceed ±1, up to {largest:,.6g}: "
            f"{_name_peaks(beyond)}; {divided} divided by {divisor} (inferred; range= sets it)"
        )
        audio_format = replace(
            audio_format,
            other_full_scale=full_scale,
            other_above=1.0 if has_two_ranges else -1.0,
            notes=(*audio_format.notes, note),
        )
    loudest = max(file[3] / audio_format.scale(file) for file in files.values())
    if not 0 < loudest < QUIET_SET:
        return audio_format
    note = (
        f"the loudest recording reaches {loudest:.3g} of full scale: all are divided by that "
        "(inferred; range=1 leaves them as they are)"
    )
    return replace(
        audio_format,
        full_scale=loudest,
        other_full_scale=audio_format.other_full_scale * loudest,
        notes=(*audio_format.notes, note),
    )


def _describe_levels(files: Files, audio_format: AudioFormat) -> AudioFormat:
    """Add notes on recordings that are silent, quiet or too loud; decide how samples are stored."""
    levels = {path: file[3] / audio_format.scale(file) for path, file in files.items()}
    silent = {path: level for path, level in levels.items() if level == 0}
    quiet = {path: level for path, level in levels.items() if 0 < level < QUIET}
    lossy = _peaks(files, lambda sample_type: sample_type != SampleType.FLOAT)
    loud = {path: peak for path, peak in lossy.items() if peak > 1}
    notes = list(audio_format.notes)
    if len(endings := Counter(path.suffix.lower() for path in files)) > 1:
        notes.append(f"recordings by extension: {count_extensions(endings)}")
    if silent:
        notes.append(f"{_count(silent, files)} are silent: {_name_files(silent)}")
    if quiet:
        notes.append(
            f"{_count(quiet, files)} are quieter than {QUIET:g} of full scale: {_name_peaks(quiet)}"
        )
    if loud:
        notes.append(
            f"{_count(loud, files)} of lossy formats exceed ±1: {_name_peaks(loud)}; each is "
            "divided by its peak"
        )
    as_float = any(
        level < QUIET and file[4] != SampleType.INT16
        for file, level in zip(files.values(), levels.values(), strict=True)
        if level
    )
    return replace(audio_format, as_float=as_float, notes=tuple(notes))


def _peaks(files: Files, is_chosen: Callable[[float], bool]) -> dict[Path, float]:
    return {path: file[3] for path, file in files.items() if is_chosen(file[4])}


def _count(
    part: Mapping[Path, float], all_files: Mapping[Path, object], kind: str = "recordings"
) -> str:
    return f"{len(part):,} of {len(all_files):,} {kind}"


def _name_files(files: Mapping[Path, float]) -> str:
    return ", ".join(abbreviate(map(_short_name, files), shown=3))


def _name_peaks(peaks: Mapping[Path, float]) -> str:
    """Return names and peaks, the largest first."""
    ranked = sorted(peaks, key=lambda path: -peaks[path])
    return ", ".join(
        abbreviate((f"{_short_name(path)} ({peaks[path]:,.6g})" for path in ranked), shown=3)
    )


def _short_name(path: Path) -> str:
    return printable_name(Path(path.parent.name, path.name))
