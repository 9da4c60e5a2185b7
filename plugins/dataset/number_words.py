"""Number names, translated between English and German."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.text.vocabulary import pad_tokens

Direction = Literal["en-de", "de-en"]
Unit = Literal["words", "characters"]
TestNumbers = Literal["seen", "longer"]

_ENGLISH = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    *("hundred", "thousand", "and"),
)
_GERMAN = (
    *("null", "ein", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    *("zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn"),
    *("achtzehn", "neunzehn", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig"),
    *("achtzig", "neunzig", "hundert", "tausend", "und"),
)
_TYPES: dict[str, dict[str, Sequence[str]]] = {
    "words": {"en": _ENGLISH, "de": _GERMAN},
    "characters": {"en": "abcdefghijklmnopqrstuvwxyz ,-", "de": "abcdefghijklmnopqrstuvwxyzäöüß"},
}
# Longest names of all numbers below a million, so that models for both tests have the same size.
_LONGEST = {"words": {"en": 11, "de": 11}, "characters": {"en": 73, "de": 65}}
# The longest alternative comes first, so that sechzehn is not read as sechs.
_GERMAN_WORD = re.compile("|".join(sorted(_GERMAN, key=len, reverse=True)))
_BEFORE_UNIT = re.compile(r"(?<=ty) (?=(one|two|three|four|five|six|seven|eight|nine)\b)")
_BEFORE_HUNDREDS = re.compile(r"(?<=thousand)(?= (?!and\b))")
_MAX_DIGITS = 5
_LONGER_DIGITS, _LONGER_COUNT = 6, 1000  # numbers of test="longer"
_MAX_COUNTS: dict[Split, int] = {"val": 400, "test": 800, "train": 4000}  # for each length
_SEED = 1847


class NumberWords(InMemory):
    """x: name of a number, y: its translation; 8,703 / 899 / 1,798 samples.

    The numbers have one to five digits; all with one digit are in train. Of the numbers of each
    other length, a tenth (at most 400) is in validation, a fifth (at most 800) in the test, and the
    rest (at most 4,000) in train. So all test numbers are new, but not longer than those of train.
    With `test="longer"`, the test has 1,000 numbers of six digits, with longer names.

    The names are from num2words: "twenty-three thousand, four hundred and five" and
    "dreiundzwanzigtausendvierhundertfünf", with units before tens.

    Args:
        direction: "en-de" or "de-en".
        unit: tokens are "words" (in German, parts of a compound word) or "characters".
        test: "seen" or "longer".

    Raises:
        ValueError: a setting is invalid.
    """

    def __init__(
        self, direction: Direction = "en-de", unit: Unit = "words", test: TestNumbers = "seen"
    ) -> None:
        _check_settings(direction, unit, test)
        self._from, self._to = direction.split("-")
        self._unit, self._longer = unit, test == "longer"
        self._types = _TYPES[unit]
        spec = DataSpec(
            name="number_words",
            modality="text",
            task="generate",
            shape=(_LONGEST[unit][self._from],),
            vocabulary=len(self._types[self._from]),
            symbols=len(self._types[self._to]),
            target_length=_LONGEST[unit][self._to],
            ragged=True,
            generated=True,
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        """Return all names; raise ValueError if num2words is not installed."""
        numbers = _draw_numbers(self._longer)
        return {split: self._make_batch(numbers[split]) for split in get_args(Split)}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Return a name with its spaces, hyphens and commas."""
        language = self._from if side == "x" else self._to
        parts = [self._types[language][token] for token in tokens]
        if self._unit == "characters" or language == "de":
            return "".join(parts)
        return _BEFORE_HUNDREDS.sub(",", _BEFORE_UNIT.sub("-", " ".join(parts)))

    def _make_batch(self, numbers: Sequence[int]) -> Batch:
        x, lengths = self._encode(numbers, self._from)
        y, y_lengths = self._encode(numbers, self._to)
        return Batch(x, y, lengths, y_lengths)

    def _encode(self, numbers: Sequence[int], language: str) -> tuple[Tensor, Tensor]:
        """Return the tokens of the names, (N, longest), and their lengths, (N,)."""
        try:
            from num2words import num2words
        except ImportError as error:
            raise ValueError(
                "number_words needs num2words: pip install 'quintain[text]'"
            ) from error
        token_of = {part: token for token, part in enumerate(self._types[language])}
        names = (num2words(number, lang=language) for number in numbers)
        rows = [[token_of[part] for part in self._split(name, language)] for name in names]
        return pad_tokens(rows, _LONGEST[self._unit][language])

    def _split(self, name: str, language: str) -> Sequence[str]:
        if self._unit == "characters":
            return name
        return re.findall(r"[a-z]+", name) if language == "en" else _GERMAN_WORD.findall(name)


def _draw_numbers(longer: bool) -> dict[Split, list[int]]:
    """Return the numbers of each split, sorted by length, and shuffled within each length."""
    random = np.random.default_rng(_SEED)
    numbers: dict[Split, list[int]] = {"train": list(range(10)), "val": [], "test": []}
    for digits in range(2, _MAX_DIGITS + 1):
        shuffled = random.permutation(np.arange(10 ** (digits - 1), 10**digits)).tolist()
        shares: dict[Split, int] = {
            "val": len(shuffled) // 10,
            "test": len(shuffled) // 5,
            "train": len(shuffled),
        }
        for split, max_count in _MAX_COUNTS.items():
            count = min(max_count, shares[split])
            numbers[split] += shuffled[:count]
            shuffled = shuffled[count:]
    if longer:
        lowest = 10 ** (_LONGER_DIGITS - 1)
        chosen = random.choice(10**_LONGER_DIGITS - lowest, _LONGER_COUNT, replace=False)
        numbers["test"] = (chosen + lowest).tolist()
    return numbers


def _check_settings(direction: str, unit: str, test: str) -> None:
    problems = [
        f"{name} must be one of {', '.join(get_args(options))}; got {value!r}"
        for name, value, options in (
            ("direction", direction, Direction),
            ("unit", unit, Unit),
            ("test", test, TestNumbers),
        )
        if value not in get_args(options)
    ]
    if problems:
        raise ValueError("; ".join(problems))
