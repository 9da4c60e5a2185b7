"""Encode words or characters as tokens, and pad rows of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quintain.errors import DataError

UNKNOWN = 0
"""The token of every word that is not in the vocabulary."""


class Vocabulary:
    """The most frequent words, numbered from 1 by frequency; other words are `UNKNOWN`.

    Args:
        texts: sequences of words of the train split.
        size: maximum number of tokens including the unknown one.
        unknown: text of the unknown token.
        min_count: words that occur less often are unknown.
    """

    def __init__(
        self,
        texts: Iterable[Sequence[str]],
        size: int,
        unknown: str = "<unk>",
        min_count: int = 1,
    ) -> None:
        counts = Counter(chain.from_iterable(texts))
        frequent = [word for word, count in counts.items() if count >= min_count]
        # Equally frequent words are in alphabetical order, so that tokens are reproducible.
        ranked = sorted(frequent, key=lambda word: (-counts[word], word))[: size - 1]
        self.words = (unknown, *ranked)
        self._tokens = {word: token for token, word in enumerate(ranked, start=1)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Sequence[str]) -> list[int]:
        return [self._tokens.get(word, UNKNOWN) for word in words]

    def decode(self, tokens: Sequence[int]) -> list[str]:
        return [self.words[token] for token in tokens]


class Alphabet:
    """Encode characters as symbols 0, 1, …, in the given order."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._symbols = {character: symbol for symbol, character in enumerate(characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str, name: str) -> list[int]:
        """Return one symbol for each character.

        Raises:
            DataError: a character is not in the alphabet; the message starts with `name`.
        """
        if unknown := sorted(set(text) - set(self.characters)):
            raise DataError(
                f"{name}: the transcript {text!r} has {' '.join(map(repr, unknown))}, expected "
                f"only {self.characters!r}"
            )
        return [self._symbols[character] for character in text]

    def decode(self, symbols: Sequence[int]) -> str:
        return "".join(self.characters[symbol] for symbol in symbols)


def pad_tokens(
    rows: Sequence[Sequence[int]], max_length: int, dtype: npt.DTypeLike = np.int64
) -> tuple[Tensor, Tensor]:
    """Return rows of tokens cut or padded with zeros, (rows, max_length), and lengths (rows,)."""
    lengths = np.array([min(len(row), max_length) for row in rows], np.int64)
    x = np.zeros((len(rows), max_length), dtype)
    flat = chain.from_iterable(row[:max_length] for row in rows)
    x[np.arange(max_length) < lengths[:, None]] = np.fromiter(flat, dtype, int(lengths.sum()))
    return torch.from_numpy(x), torch.from_numpy(lengths)
