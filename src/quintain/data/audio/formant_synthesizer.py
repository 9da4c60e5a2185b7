"""A speech synthesizer: three time-varying formant resonators filter a pulse train and noise.

The source-filter model of G. Fant, *Acoustic Theory of Speech Production* (1960), with D. Klatt's
resonator and its parallel arrangement ("Software for a cascade/parallel formant synthesizer",
JASA 67, 1980). Vowel formants are the men's averages of G. Peterson and H. Barney (JASA 24, 1952).

All utterances are synthesized at once, so the only loop is over time. Results of sin and exp are
rounded to binary fractions, and noise is uniform, so that the 16-bit result is the same with any
maths library.

Legend: U utterances, N samples, S ticks of 5 ms, K = 3 formants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RATE = 8000  # Hz
_TICK = 40  # samples
_BANDWIDTHS = np.array([80.0, 120.0, 220.0])  # Hz


class Segment(NamedTuple):
    """A part of a phoneme with constant parameters; voice and noise are gains from 0 to 1."""

    ms: float
    formants: tuple[float, float, float]  # Hz
    gains: tuple[float, float, float]
    voice: float
    noise: float


_OPEN = (1.0, 0.6, 0.3)
_HISS = (0.0, 0.3, 1.0)
_NASAL = (0.8, 0.08, 0.05)
_SILENT = (0.0, 0.0, 0.0)
_PAUSE = Segment(140, (500, 1500, 2500), _SILENT, 0.0, 0.0)  # longest pause before a word
PHONEMES: dict[str, tuple[Segment, ...]] = {
    "i": (Segment(105, (270, 2290, 3010), _OPEN, 1.0, 0.0),),
    "e": (Segment(105, (530, 1840, 2480), _OPEN, 1.0, 0.0),),
    "a": (Segment(115, (730, 1090, 2440), _OPEN, 1.0, 0.0),),
    "o": (Segment(110, (570, 840, 2410), _OPEN, 1.0, 0.0),),
    "u": (Segment(105, (300, 870, 2240), _OPEN, 1.0, 0.0),),
    "l": (Segment(75, (360, 1300, 2700), (0.7, 0.3, 0.2), 0.8, 0.0),),
    "m": (Segment(80, (250, 1000, 2200), _NASAL, 0.8, 0.0),),
    "n": (Segment(80, (250, 1700, 2600), _NASAL, 0.8, 0.0),),
    "s": (Segment(100, (400, 2900, 3500), _HISS, 0.0, 0.8),),
    "x": (Segment(100, (400, 1900, 2500), (0.0, 1.0, 0.6), 0.0, 0.8),),
    "f": (Segment(90, (500, 1500, 3300), (0.1, 0.2, 0.3), 0.0, 0.4),),
    "p": (
        Segment(50, (400, 900, 2200), _SILENT, 0, 0),
        Segment(20, (500, 800, 1500), _OPEN, 0, 0.7),
    ),
    "t": (
        Segment(50, (350, 1800, 2700), _SILENT, 0, 0),
        Segment(20, (400, 2600, 3500), _HISS, 0, 1.0),
    ),
    "k": (
        Segment(50, (300, 1900, 2300), _SILENT, 0, 0),
        Segment(25, (400, 1700, 2300), (0.1, 1.0, 0.5), 0, 0.9),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Speakers:
    """The voices of speakers; each field has the shape (speakers,)."""

    pitch: Floats  # Hz
    tract: Floats  # factor of the formant frequencies
    rate: Floats  # factor of the speed
    breath: Floats  # gain of noise in voiced segments
    background: Floats  # gain of background noise

    @classmethod
    def draw(cls, count: int, random: np.random.Generator) -> Speakers:
        """Draw random speakers; a short vocal tract tends to go with a high voice."""
        height = random.random(count)
        return cls(
            pitch=90 + 130 * height + random.uniform(-10, 10, count),
            tract=0.85 + 0.35 * height + random.uniform(-0.06, 0.06, count),
            rate=random.uniform(0.85, 1.15, count),
            breath=random.uniform(0.02, 0.15, count),
            background=random.uniform(0.03, 0.18, count),
        )


def synthesize_words(
    words: Sequence[str],
    speakers: Speakers,
    speaker: Integers,
    longest: int,
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.int16], Integers]:
    """Synthesize `words[u]` in the voice of `speaker[u]`.

    Args:
        words: U strings of the letters of `PHONEMES`.
        speakers: all voices.
        speaker: index of the voice of each utterance, (U,).
        longest: N, samples at 8 kHz, a multiple of 40; longer utterances are cut.
        random: draws the pitch, pace, loudness and noise of each utterance.

    Returns:
        Audio, int16 (U, N), padded with zeros; lengths (U,).
    """
    utterances = len(words)
    pace = speakers.rate[speaker] * random.uniform(0.93, 1.07, utterances)
    tract = speakers.tract[speaker] * random.uniform(0.95, 1.05, utterances)
    track, lengths = _make_track(words, pace, tract, longest, random)
    pitch = speakers.pitch[speaker] * random.uniform(0.93, 1.07, utterances)
    source = _make_source(track, pitch, speakers.breath[speaker], random)
    audio = _resonate(source, track)
    audio /= np.abs(audio).max(axis=1, keepdims=True)
    audio *= random.uniform(0.3, 0.9, (utterances, 1))
    audio += speakers.background[speaker, None] * (2 * random.random(audio.shape) - 1)
    audio *= np.arange(longest) < lengths[:, None]
    return np.rint(audio.clip(-1, 1) * 32767).astype(np.int16), lengths


class _Track(NamedTuple):
    """The parameters of each tick: formants and gains (S, K, U), voice and noise (S, U)."""

    formants: Floats
    gains: Floats
    voice: Floats
    noise: Floats


def _make_track(
    words: Sequence[str],
    pace: Floats,
    tract: Floats,
    longest: int,
    random: np.random.Generator,
) -> tuple[_Track, Integers]:
    """Return a pause and the segments of each word with transitions of 25 ms, and the lengths."""
    ticks = longest // _TICK
    targets = np.zeros((ticks, 8, len(words)))
    lengths = np.zeros(len(words), dtype=np.int64)
    for u, word in enumerate(words):
        segments = [_PAUSE, *(segment for letter in word for segment in PHONEMES[letter])]
        stretch = random.uniform(0.65, 1.2, len(segments))
        ms = np.array([segment.ms for segment in segments]) * stretch
        ms[0] = random.uniform(0, _PAUSE.ms)
        ends = np.cumsum(ms) * (RATE / 1000) / pace[u]
        lengths[u] = min(longest, int(ends[-1]))
        tick_starts = np.arange(ticks) * _TICK
        index = np.searchsorted(ends, tick_starts, side="right").clip(max=len(ends) - 1)
        rows = np.array([(*s.formants, *s.gains, s.voice, s.noise) for s in segments])
        targets[:, :, u] = rows[index]
    targets = uniform_filter1d(targets, size=5, axis=0, mode="nearest")
    formants = targets[:, :3] * tract
    return _Track(formants, targets[:, 3:6], targets[:, 6], targets[:, 7]), lengths


def _make_source(
    track: _Track, pitch: Floats, breath: Floats, random: np.random.Generator
) -> Iterator[Floats]:
    """Yield the source of each tick (40, U): noise, and pulses whose pitch falls by a fifth."""
    phase = np.zeros(pitch.shape)  # in cycles
    for tick, fall in enumerate(np.linspace(1.1, 0.9, len(track.voice))):
        cycles = phase + fall * pitch / RATE * np.arange(_TICK + 1)[:, None]
        phase = cycles[-1]
        pulses = np.diff(np.floor(cycles), axis=0)
        hiss = random.random(pulses.shape) * 2 - 1
        yield track.voice[tick] * (4 * pulses + breath * hiss) + track.noise[tick] * hiss


def _resonate(source: Iterator[Floats], track: _Track) -> Floats:
    """Filter the source by K parallel resonators → (U, N).

    Klatt's resonator y[n] = A x[n] + B y[n-1] + C y[n-2], with C = -exp(-2πb/r),
    B = 2 exp(-πb/r) cos(2πf/r) and A = 1 - B - C, for centre f, bandwidth b, rate r.
    """
    radius = np.exp(-np.pi * _BANDWIDTHS / RATE)[:, None]
    angle = 2 * np.pi * np.minimum(track.formants, 0.48 * RATE) / RATE
    b, c = _round(2 * radius * np.cos(angle)), _round(-(radius**2))
    # A parallel synthesizer needs neighbouring formants in opposite phase.
    a = (1 - b - c) * track.gains * np.array([1.0, -1.0, 1.0])[:, None]
    last, before = np.zeros_like(b[0]), np.zeros_like(b[0])
    audio = np.empty((b.shape[-1], len(b) * _TICK))
    for tick, drive in enumerate(source):
        driven = a[tick] * drive[:, None]
        for y in driven:  # changes each row in place from A x[n] to y[n]
            y += b[tick] * last
            y += c * before
            last, before = y, last
        audio[:, tick * _TICK : (tick + 1) * _TICK] = driven.sum(axis=1).T
    return audio


def _round(values: Floats) -> Floats:
    return np.round(values * 2**24) / 2**24
