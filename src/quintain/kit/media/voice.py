"""A small voice: a pulse train and noise through three moving formant resonators.

The source-filter model of G. Fant, *Acoustic Theory of Speech Production* (1960), with D. Klatt's
resonator and its parallel arrangement ("Software for a cascade/parallel formant synthesizer",
JASA 67, 1980). Vowel formants are the men's averages of G. Peterson and H. Barney (JASA 24, 1952).

All utterances are spoken at once: the only loop runs over time. Legend: U utterances, N samples,
S ticks of 5 ms, K = 3 formants. What comes from sin or exp is rounded to a binary fraction and
noise is uniform, so that the 16-bit result does not hang on the last bits of a maths library.
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


class Sound(NamedTuple):
    """A stretch of steady sound: ms, formants in Hz and their gains, voice and noise in 0…1."""

    ms: float
    formants: tuple[float, float, float]
    gains: tuple[float, float, float]
    voice: float
    noise: float


_OPEN = (1.0, 0.6, 0.3)
_HISS = (0.0, 0.3, 1.0)
_NASAL = (0.8, 0.08, 0.05)
_SILENT = (0.0, 0.0, 0.0)
_PAUSE = Sound(140, (500, 1500, 2500), _SILENT, 0.0, 0.0)  # at most, before a word
SOUNDS: dict[str, tuple[Sound, ...]] = {
    "i": (Sound(105, (270, 2290, 3010), _OPEN, 1.0, 0.0),),
    "e": (Sound(105, (530, 1840, 2480), _OPEN, 1.0, 0.0),),
    "a": (Sound(115, (730, 1090, 2440), _OPEN, 1.0, 0.0),),
    "o": (Sound(110, (570, 840, 2410), _OPEN, 1.0, 0.0),),
    "u": (Sound(105, (300, 870, 2240), _OPEN, 1.0, 0.0),),
    "l": (Sound(75, (360, 1300, 2700), (0.7, 0.3, 0.2), 0.8, 0.0),),
    "m": (Sound(80, (250, 1000, 2200), _NASAL, 0.8, 0.0),),
    "n": (Sound(80, (250, 1700, 2600), _NASAL, 0.8, 0.0),),
    "s": (Sound(100, (400, 2900, 3500), _HISS, 0.0, 0.8),),
    "x": (Sound(100, (400, 1900, 2500), (0.0, 1.0, 0.6), 0.0, 0.8),),
    "f": (Sound(90, (500, 1500, 3300), (0.1, 0.2, 0.3), 0.0, 0.4),),
    "p": (Sound(50, (400, 900, 2200), _SILENT, 0, 0), Sound(20, (500, 800, 1500), _OPEN, 0, 0.7)),
    "t": (Sound(50, (350, 1800, 2700), _SILENT, 0, 0), Sound(20, (400, 2600, 3500), _HISS, 0, 1.0)),
    "k": (
        Sound(50, (300, 1900, 2300), _SILENT, 0, 0),
        Sound(25, (400, 1700, 2300), (0.1, 1.0, 0.5), 0, 0.9),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Speakers:
    """Voices, each field (speakers,): pitch in Hz, factors of formants and rate, breath, noise."""

    pitch: Floats
    tract: Floats
    rate: Floats
    breath: Floats
    background: Floats

    @classmethod
    def draw(cls, count: int, random: np.random.Generator) -> Speakers:
        """Speakers at random; a short vocal tract goes with a high voice, not strictly."""
        height = random.random(count)
        return cls(
            pitch=90 + 130 * height + random.uniform(-10, 10, count),
            tract=0.85 + 0.35 * height + random.uniform(-0.06, 0.06, count),
            rate=random.uniform(0.85, 1.15, count),
            breath=random.uniform(0.02, 0.15, count),
            background=random.uniform(0.03, 0.18, count),
        )


def speak(
    words: Sequence[str],
    speakers: Speakers,
    speaker: Integers,
    longest: int,
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.int16], Integers]:
    """Say `words[u]` in the voice of `speaker[u]`.

    Args:
        words: U strings of the letters of `SOUNDS`.
        speakers: the voices that `speaker` (U,) points into.
        longest: N, samples at 8 kHz, a multiple of 40; what is longer is cut.
        random: source of pitch, pace, loudness and noise of each utterance.

    Returns:
        Sound, int16 (U, N), zero behind its length; lengths (U,).
    """
    utterances = len(words)
    pace = speakers.rate[speaker] * random.uniform(0.93, 1.07, utterances)
    tract = speakers.tract[speaker] * random.uniform(0.95, 1.05, utterances)
    score, lengths = _score(words, pace, tract, longest, random)
    pitch = speakers.pitch[speaker] * random.uniform(0.93, 1.07, utterances)
    source = _source(score, pitch, speakers.breath[speaker], random)
    sound = _resonate(source, score)
    sound /= np.abs(sound).max(axis=1, keepdims=True)
    sound *= random.uniform(0.3, 0.9, (utterances, 1))
    sound += speakers.background[speaker, None] * (2 * random.random(sound.shape) - 1)
    sound *= np.arange(longest) < lengths[:, None]
    return np.rint(sound.clip(-1, 1) * 32767).astype(np.int16), lengths


class _Score(NamedTuple):
    """What is spoken, tick by tick: formants, gains (S, K, U); voice, noise (S, U)."""

    formants: Floats
    gains: Floats
    voice: Floats
    noise: Floats


def _score(
    words: Sequence[str],
    pace: Floats,
    tract: Floats,
    longest: int,
    random: np.random.Generator,
) -> tuple[_Score, Integers]:
    """A pause, then steady sounds with glides of 25 ms between them; lengths in samples."""
    ticks = longest // _TICK
    targets = np.zeros((ticks, 8, len(words)))
    lengths = np.zeros(len(words), dtype=np.int64)
    for place, word in enumerate(words):
        sounds = [_PAUSE, *(sound for letter in word for sound in SOUNDS[letter])]
        ms = np.array([sound.ms for sound in sounds]) * random.uniform(0.65, 1.2, len(sounds))
        ms[0] = random.uniform(0, _PAUSE.ms)
        ends = np.cumsum(ms) * (RATE / 1000) / pace[place]
        lengths[place] = min(longest, int(ends[-1]))
        at = np.searchsorted(ends, np.arange(ticks) * _TICK, side="right").clip(max=len(ends) - 1)
        rows = np.array([(*s.formants, *s.gains, s.voice, s.noise) for s in sounds])
        targets[:, :, place] = rows[at]
    targets = uniform_filter1d(targets, size=5, axis=0, mode="nearest")
    formants = targets[:, :3] * tract
    return _Score(formants, targets[:, 3:6], targets[:, 6], targets[:, 7]), lengths


def _source(
    score: _Score, pitch: Floats, breath: Floats, random: np.random.Generator
) -> Iterator[Floats]:
    """Pulses at the pitch, which falls by a fifth over the longest word, and noise: S × (40, U)."""
    phase = np.zeros(pitch.shape)  # in cycles
    for tick, fall in enumerate(np.linspace(1.1, 0.9, len(score.voice))):
        cycles = phase + fall * pitch / RATE * np.arange(_TICK + 1)[:, None]
        phase = cycles[-1]
        pulses = np.diff(np.floor(cycles), axis=0)
        hiss = random.random(pulses.shape) * 2 - 1
        yield score.voice[tick] * (4 * pulses + breath * hiss) + score.noise[tick] * hiss


def _resonate(source: Iterator[Floats], score: _Score) -> Floats:
    """The source through K parallel resonators → (U, N).

    Klatt's resonator y[n] = A x[n] + B y[n-1] + C y[n-2], with C = -exp(-2πb/r),
    B = 2 exp(-πb/r) cos(2πf/r) and A = 1 - B - C, for centre f, bandwidth b, rate r.
    """
    radius = np.exp(-np.pi * _BANDWIDTHS / RATE)[:, None]
    angle = 2 * np.pi * np.minimum(score.formants, 0.48 * RATE) / RATE
    b, c = _rounded(2 * radius * np.cos(angle)), _rounded(-(radius**2))
    # neighbouring formants in opposite phase, as in a parallel synthesizer they have to be
    a = (1 - b - c) * score.gains * np.array([1.0, -1.0, 1.0])[:, None]
    last, before = np.zeros_like(b[0]), np.zeros_like(b[0])
    sound = np.empty((b.shape[-1], len(b) * _TICK))
    for tick, drive in enumerate(source):
        driven = a[tick] * drive[:, None]
        for y in driven:  # each y is turned from A x[n] into y[n] in place
            y += b[tick] * last
            y += c * before
            last, before = y, last
        sound[:, tick * _TICK : (tick + 1) * _TICK] = driven.sum(axis=1).T
    return sound


def _rounded(values: Floats) -> Floats:
    return np.round(values * 2**24) / 2**24
