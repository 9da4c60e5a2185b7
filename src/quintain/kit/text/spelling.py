"""Texts as symbols to be written: words or characters, known from the train split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from quintain.contracts import Lexicon
from quintain.kit.text.words import UNKNOWN, Vocabulary

Symbols = Literal["words", "characters"]


class Spelling:
    """Text ↔ symbols 0, 1, …; symbol 0 stands for all that the train split lacks.

    White space at the ends and several blanks in a row do not count.

    Args:
        train: the texts of the train split.
        symbols: "words" (what stands between blanks) or "characters".
        lower: make all letters small first.
        most: number of symbols, the unknown one included; the most frequent are kept.

    Raises:
        ValueError: `symbols` is neither.
    """

    def __init__(
        self, train: Iterable[str], symbols: Symbols, *, lower: bool = True, most: int = 10_000
    ) -> None:
        if symbols not in ("words", "characters"):
            raise ValueError(f"symbols is words or characters, came {symbols!r}")
        self._symbols, self._lower = symbols, lower
        unknown = "<unk>" if symbols == "words" else "\N{REPLACEMENT CHARACTER}"
        self._known = Vocabulary(map(self.split, train), most, unknown)

    def __len__(self) -> int:
        return len(self._known)

    def split(self, text: str) -> list[str]:
        """Its words or characters."""
        words = (text.lower() if self._lower else text).split()
        return words if self._symbols == "words" else list(" ".join(words))

    def encode(self, text: str) -> tuple[int, ...]:
        """The symbols of a text."""
        return tuple(self._known.encode(self.split(text)))

    def decode(self, symbols: Sequence[int]) -> str:
        """The text of some symbols."""
        return (" " if self._symbols == "words" else "").join(self._known.decode(symbols))

    def lexicon(self, train: Iterable[str]) -> Lexicon | None:
        """The words of the train split as symbols; None where the symbols are words."""
        if self._symbols == "words":
            return None
        spelt = {self.encode(word) for text in train for word in text.split()}
        known = sorted(word for word in spelt if UNKNOWN not in word)
        between = self.encode("a b")[1]
        return Lexicon(words=tuple(known), between=None if between == UNKNOWN else between)

    def longest(self, texts: Iterable[str]) -> int:
        """The most symbols that one of the texts has."""
        return max(len(self.split(text)) for text in texts)

    def note(self, held_out: Sequence[str]) -> str:
        """How many symbols there are, and how many of the held-out ones are unknown."""
        coded = [symbol for text in held_out for symbol in self.encode(text)]
        missed = coded.count(UNKNOWN)
        case = ", in small letters" if self._lower else ""
        strange = f"; {missed:,} of {len(coded):,} in val and test are unknown" if missed else ""
        return f"{len(self) - 1:,} {self._symbols} from train{case}{strange}"
