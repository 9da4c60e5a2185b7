"""A user's texts as tokens: words, characters or subwords, learnt from the train split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from quintain.kit.text.words import UNKNOWN, Vocabulary

Unit = Literal["words", "characters", "subwords"]

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Tokens(Protocol):
    """Text ↔ tokens 0, 1, …; `separator` stands between two of them."""

    separator: str

    def __len__(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: Sequence[int]) -> str: ...


@dataclass(frozen=True)
class TokenSettings:
    """How texts are cut into tokens.

    Attributes:
        unit: "words": letters and digits, also with an apostrophe inside, and each other sign for
            itself; "characters"; "subwords": see `kit.subwords`.
        most: token types, the unknown one included; the most frequent are kept.
        min_count: words and characters that stand less often in train are unknown (token 0).
        lower: make all letters small first.

    Raises:
        ValueError: a setting is out of its range.
    """

    unit: Unit
    most: int
    min_count: int
    lower: bool

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f"tokens must be {', '.join(get_args(Unit))}; came {self.unit!r}")
        if self.most < 2 or self.min_count < 1:
            raise ValueError(
                "vocabulary must be 2 or more and min_count 1 or more; came "
                f"{self.most} and {self.min_count}"
            )

    def learn(self, train: Sequence[str]) -> Tokens:
        """The tokens of the texts of the train split."""
        return Pieces(train, self) if self.unit == "subwords" else Counted(train, self)


class Counted:
    """Words or characters by how often they stand in the train split; token 0 is any other."""

    def __init__(self, train: Sequence[str], settings: TokenSettings) -> None:
        self.separator = " " if settings.unit == "words" else ""
        self._words, self._lower = settings.unit == "words", settings.lower
        counts = Counter(chain.from_iterable(map(self._split, train)))
        kept = sum(count >= settings.min_count for count in counts.values())
        unknown = "<unk>" if self._words else "\N{REPLACEMENT CHARACTER}"
        # The vocabulary ranks by count; so what is frequent enough comes first.
        self._known = Vocabulary([list(counts.elements())], min(settings.most, kept + 1), unknown)

    def __len__(self) -> int:
        return len(self._known)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self._known.encode(self._split(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Words with blanks between them, or characters."""
        return self.separator.join(self._known.decode(tokens))

    def _split(self, text: str) -> list[str]:
        text = text.lower() if self._lower else text
        return _WORD.findall(text) if self._words else list(text)


class Pieces:
    """Subwords; fewer than asked for where the texts do not have so many.

    Raises:
        ValueError: sentencepiece is missing, or the texts have more characters than `most`.
    """

    separator = ""

    def __init__(self, train: Sequence[str], settings: TokenSettings) -> None:
        try:
            from quintain.kit.text.subwords import Subwords
        except ImportError as error:
            raise ValueError(
                "tokens=subwords needs sentencepiece: pip install sentencepiece"
            ) from error
        self._lower = settings.lower
        texts = [self._written(text) for text in train]
        try:
            self._known = Subwords(texts, settings.most)
        except ValueError as error:
            fits = re.search(r"value <= (\d+)", str(error))  # sentencepiece says how many there are
            if not fits:
                raise
            self._known = Subwords(texts, int(fits[1]))

    def __len__(self) -> int:
        return len(self._known)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self._known.encode(self._written(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return self._known.decode(tokens)

    def _written(self, text: str) -> str:
        return text.lower() if self._lower else text


def lay_out(rows: Sequence[Sequence[int]], longest: int) -> tuple[Tensor, Tensor]:
    """Rows of tokens → int32 (rows, longest), zero behind each row's end, and lengths (rows,).

    What a row has beyond `longest` is cut off. Of a million rows in a second or two.
    """
    lengths = np.array([min(len(row), longest) for row in rows], np.int64)
    x = np.zeros((len(rows), longest), np.int32)
    flat = chain.from_iterable(row[:longest] for row in rows)
    x[np.arange(longest) < lengths[:, None]] = np.fromiter(flat, np.int32, int(lengths.sum()))
    return torch.from_numpy(x), torch.from_numpy(lengths)


def token_note(what: str, known: Tokens, unit: Unit, held_out: Iterable[Sequence[int]]) -> str:
    """How many token types there are, and how many of the held-out tokens are unknown."""
    text = f"{what}: {len(known):,} {unit} from train (inferred)"
    total = missed = 0
    for row in held_out:
        total += len(row)
        missed += sum(token == UNKNOWN for token in row)
    return f"{text}; {missed:,} of {total:,} in val and test are unknown" if missed else text
