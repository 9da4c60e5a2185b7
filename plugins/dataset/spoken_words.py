"""Synthesized invented words, in pairs of a word and its reversal."""

from __future__ import annotations

import numpy as np
import torch

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.audio.formant_synthesizer import RATE, Speakers, synthesize_words
from quintain.data.base import InMemory

_WORDS = (
    *("iau", "uai", "sani", "inas", "tosu", "usot"),
    *("kame", "emak", "lifo", "ofil", "pexu", "uxep"),
)
_LONGEST = 4800  # samples, 0.6 s; few words are longer, and are cut
_SPEAKERS: dict[Split, int] = {"train": 25, "val": 5, "test": 10}
_REPETITIONS = 5  # of each word by each speaker
_SEED = 1939


class SpokenWords(InMemory):
    """2,400 utterances of 12 words at 8 kHz, up to 0.6 s; 25 / 5 / 10 speakers.

    x (4800,) in [-1, 1], ragged. The two words of a pair have the same phonemes in opposite order,
    so they have the same average spectrum. Speakers differ in pitch, length of the vocal tract,
    rate, breath and background noise; each one is in one split only.
    """

    def __init__(self) -> None:
        spec = DataSpec(
            name="spoken_words",
            modality="speech",
            task="classify",
            shape=(_LONGEST,),
            classes=_WORDS,
            sample_rate=RATE,
            ragged=True,
            generated=True,
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        random = np.random.default_rng(_SEED)
        count = sum(_SPEAKERS.values())
        word = np.tile(np.arange(len(_WORDS)), count * _REPETITIONS)
        speaker = np.repeat(np.arange(count), _REPETITIONS * len(_WORDS))
        speakers = Speakers.draw(count, random)
        x, lengths = synthesize_words(
            [_WORDS[w] for w in word], speakers, speaker, _LONGEST, random
        )
        tensors = [torch.from_numpy(array) for array in (x, word, lengths)]
        sizes = [speakers * _REPETITIONS * len(_WORDS) for speakers in _SPEAKERS.values()]
        parts = zip(*(tensor.split(sizes) for tensor in tensors), strict=True)
        return {split: Batch(*part) for split, part in zip(_SPEAKERS, parts, strict=True)}
