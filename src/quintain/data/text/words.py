"""Split texts into words by the rules of Unicode (UAX 29), into characters, and at white space.

A word keeps its combining marks, joiners and inner apostrophes; numbers and emoji sequences are one
word each, and every other visible character is a word. Chinese characters, hiragana, and syllables
of Thai, Lao, Khmer and Burmese are words of their own, because UAX 29 has no dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import regex

UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"
"""The text of an unknown token, which no word of a true text equals."""

SAMPLED_TEXTS = 1000  # from which it is inferred whether words are separated by blanks

_WORD = regex.compile(r"(?w)[^\s\p{Default_Ignorable_Code_Point}].*?\b")
_WORD_AFTER_BLANK = regex.compile(r"(?w) ?[^ ].*?\b")
_BLANKS = regex.compile(r" +")


def split_words(text: str) -> list[str]:
    """Return the words of a text, without white space and invisible characters between words."""
    words: list[str] = _WORD.findall(text)
    return words


def normalize_blanks(text: str) -> str:
    """Return the text with single blanks instead of runs of white space."""
    return " ".join(text.split())


def merge_blanks(text: str) -> str:
    """Return the text with single blanks instead of runs of blanks; other white space stays."""
    return _BLANKS.sub(" ", text).strip(" ")


class Splitter(Protocol):
    """Splits texts into parts.

    Attributes:
        separator: what `join` writes between two parts.
        unknown: text of the part that stands for unknown ones.
    """

    separator: str
    unknown: str

    def normalize(self, text: str) -> str:
        """Return the text that `join` makes of the parts."""

    def split(self, text: str) -> list[str]: ...
    def join(self, parts: Sequence[str]) -> str: ...


class Words:
    """Words of UAX 29, joined by blanks."""

    separator = " "
    unknown = UNKNOWN_TEXT

    def normalize(self, text: str) -> str:
        return self.join(split_words(text))

    def split(self, text: str) -> list[str]:
        return split_words(text)

    def join(self, parts: Sequence[str]) -> str:
        return " ".join(parts)


class WordsWithBlanks:
    """Words of UAX 29 that include the blank before them, so that `join` restores the text.

    The first word of a text has a blank too where most words have one, so that it is the same part
    as elsewhere in a text. Invisible characters between words are words.

    Args:
        train: texts from which this is inferred.
    """

    separator = ""

    def __init__(self, train: Sequence[str]) -> None:
        self._first, most = "", 0
        for text in train[:: max(1, len(train) // SAMPLED_TEXTS)]:
            most += sum(1 if word[0] == " " else -1 for word in self.split(text)[1:])
        self._first = " " if most >= 0 else ""
        self.unknown = self._first + UNKNOWN_TEXT

    def normalize(self, text: str) -> str:
        return normalize_blanks(text)

    def split(self, text: str) -> list[str]:
        words: list[str] = _WORD_AFTER_BLANK.findall(self._first + normalize_blanks(text))
        return words

    def join(self, parts: Sequence[str]) -> str:
        return "".join(parts).removeprefix(self._first)


class Characters:
    """Single characters (code points)."""

    separator = ""
    unknown = UNKNOWN_TEXT

    def normalize(self, text: str) -> str:
        return text

    def split(self, text: str) -> list[str]:
        return list(text)

    def join(self, parts: Sequence[str]) -> str:
        return "".join(parts)


class SpacedWords(Words):
    """Words between white space, as in transcripts."""

    def normalize(self, text: str) -> str:
        return normalize_blanks(text)

    def split(self, text: str) -> list[str]:
        return text.split()


class SpacedCharacters(Characters):
    """Single characters; runs of white space are one blank."""

    def normalize(self, text: str) -> str:
        return normalize_blanks(text)

    def split(self, text: str) -> list[str]:
        return list(normalize_blanks(text))
