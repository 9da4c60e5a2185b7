"""Words and their numbers, and samples of unequal length in one tensor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

UNKNOWN = 0
"""The token of every word that is not in the vocabulary."""


class Vocabulary:
    """The most frequent words, numbered from 1 by frequency; 0 is any other word.

    Args:
        texts: of the train split, each a sequence of words.
        size: number of tokens, the unknown one included; fewer where there are fewer words.
        unknown: how the unknown word reads.
    """

    def __init__(self, texts: Iterable[Sequence[str]], size: int, unknown: str = "<unk>") -> None:
        counts = Counter(word for text in texts for word in text)
        # Words of one frequency by the alphabet: the same order on every machine.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))[: size - 1]
        self.words = (unknown, *ranked)
        self._tokens = {word: token for token, word in enumerate(ranked, start=1)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Sequence[str]) -> list[int]:
        """Words → tokens."""
        return [self._tokens.get(word, UNKNOWN) for word in words]

    def decode(self, tokens: Sequence[int]) -> list[str]:
        """Tokens → words."""
        return [self.words[token] for token in tokens]


def pad(rows: Sequence[Sequence[int]], longest: int) -> tuple[Tensor, Tensor]:
    """Rows of tokens → x long (rows, longest), zero behind each row's end, and lengths (rows,).

    What a row has beyond `longest` is cut off.
    """
    x = torch.zeros(len(rows), longest, dtype=torch.long)
    lengths = torch.tensor([min(len(row), longest) for row in rows], dtype=torch.long)
    for at, row in enumerate(rows):
        x[at, : len(row)] = torch.tensor(row[:longest], dtype=torch.long)
    return x, lengths
