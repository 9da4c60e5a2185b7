"""Invented words from a small source-filter voice: each comes with its own reversal."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.media.voice import RATE, Speakers, speak

_WORDS = (
    *("iau", "uai", "sani", "inas", "tosu", "usot"),
    *("kame", "emak", "lifo", "ofil", "pexu", "uxep"),
)
_LONGEST = 4800  # samples: 0.6 s, longer than nearly every word; a longer one is cut
_SPEAKERS: dict[Split, int] = {"train": 25, "val": 5, "test": 10}
_TIMES = 5  # that each speaker says each word
_SEED = 1939  # the year of Dudley's Voder


class SpokenWords(InMemory):
    """2,400 utterances of 12 words at 8 kHz, up to 0.6 s; 25 / 5 / 10 speakers.

    x (4800,) in [-1, 1], ragged. Six pairs of words have the same sounds in opposite order, so an
    average spectrum tells pairs apart but not the two of a pair. Speakers differ in pitch, length
    of the vocal tract, rate, breath and background noise, and none is in two splits.
    """

    def __init__(self) -> None:
        super().__init__(
            DataSpec(
                name="spoken_words",
                modality="speech",
                task="classify",
                shape=(_LONGEST,),
                classes=_WORDS,
                sample_rate=RATE,
                ragged=True,
                generated=True,
            )
        )

    def load(self) -> dict[Split, Batch]:
        """Sound in 16 bits, speaker by speaker, the words in turn."""
        random = np.random.default_rng(_SEED)
        count = sum(_SPEAKERS.values())
        word = np.tile(np.arange(len(_WORDS)), count * _TIMES)
        speaker = np.repeat(np.arange(count), _TIMES * len(_WORDS))
        speakers = Speakers.draw(count, random)
        sounds, lengths = speak([_WORDS[w] for w in word], speakers, speaker, _LONGEST, random)
        whole = [torch.from_numpy(part) for part in (sounds, word, lengths)]
        sizes = [of_split * _TIMES * len(_WORDS) for of_split in _SPEAKERS.values()]
        parts = zip(*(tensor.split(sizes) for tensor in whole), strict=True)
        return {split: Batch(*part) for split, part in zip(_SPEAKERS, parts, strict=True)}

    def take(self, split: Split, indices: Tensor) -> Batch:
        """16-bit samples divided by 32,768."""
        batch = super().take(split, indices)
        return batch._replace(x=batch.x.float().div_(32768))
