"""The names of numbers, translated between English and German: a grammar with two word orders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from num2words import num2words
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.text.words import pad

Direction = Literal["en-de", "de-en"]
Unit = Literal["words", "characters"]
Test = Literal["seen", "longer"]

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
# Of all numbers below a million, so that both tests have the same model.
_LONGEST = {"words": {"en": 11, "de": 11}, "characters": {"en": 73, "de": 65}}
# The longest that fits, so that sechzehn is not sechs; eins stands at the end of a name only.
_GERMAN_WORD = re.compile("|".join(sorted(_GERMAN, key=len, reverse=True)))
_UNIT = re.compile(r"(?<=ty) (?=(one|two|three|four|five|six|seven|eight|nine)\b)")
_THOUSANDS = re.compile(r"(?<=thousand)(?= (?!and\b))")
_DIGITS, _LONGER, _LONGER_COUNT = 5, 6, 1000  # digits of the numbers seen, and of longer ones
_MOST: dict[Split, int] = {"val": 400, "test": 800, "train": 4000}  # numbers of one length
_SEED = 1847


class NumberWords(InMemory):
    """x: a number's name in one language, y: in the other; 8,703 / 899 / 1,798.

    Numbers of one to five digits. Of those with two digits or more a tenth, but at most 400 of a
    length, validate, a fifth, at most 800, test, and the others, at most 4,000, train; numbers of
    one digit only train. So every number of the test is new, and no longer than those seen. With
    `test="longer"` the test has 1,000 numbers of six digits instead: longer names than any seen.

    Names are num2words': "twenty-three thousand, four hundred and five" and
    "dreiundzwanzigtausendvierhundertfünf", where units stand before tens.

    Args:
        direction: "en-de" or "de-en".
        unit: tokens are "words", of which a German name is a row without spaces, or "characters".
        test: "seen" or "longer".

    Raises:
        ValueError: a setting that is none of those.
    """

    def __init__(
        self, direction: Direction = "en-de", unit: Unit = "words", test: Test = "seen"
    ) -> None:
        _check(direction, unit, test)
        self._from, self._to = direction.split("-")
        self._unit, self._longer = unit, test == "longer"
        self._types = _TYPES[unit]
        super().__init__(
            DataSpec(
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
        )

    def load(self) -> dict[Split, Batch]:
        """Name all numbers."""
        numbers = _numbers(self._longer)
        return {split: self._named(numbers[split]) for split in get_args(Split)}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """The name as it is written."""
        language = self._from if side == "x" else self._to
        parts = [self._types[language][token] for token in tokens]
        if self._unit == "characters" or language == "de":
            return "".join(parts)
        return _THOUSANDS.sub(",", _UNIT.sub("-", " ".join(parts)))

    def _named(self, numbers: Sequence[int]) -> Batch:
        x, lengths = self._encoded(numbers, self._from)
        y, y_lengths = self._encoded(numbers, self._to)
        return Batch(x, y, lengths, y_lengths)

    def _encoded(self, numbers: Sequence[int], language: str) -> tuple[Tensor, Tensor]:
        """Names → tokens (N, longest) and lengths (N,)."""
        tokens = {kind: token for token, kind in enumerate(self._types[language])}
        names = (num2words(number, lang=language) for number in numbers)
        rows = [[tokens[part] for part in self._parts(name, language)] for name in names]
        return pad(rows, _LONGEST[self._unit][language])

    def _parts(self, name: str, language: str) -> Sequence[str]:
        if self._unit == "characters":
            return name
        return re.findall(r"[a-z]+", name) if language == "en" else _GERMAN_WORD.findall(name)


def _numbers(longer: bool) -> dict[Split, list[int]]:
    """Numbers of each split, by length and then in random order."""
    random = np.random.default_rng(_SEED)
    numbers: dict[Split, list[int]] = {"train": list(range(10)), "val": [], "test": []}
    for digits in range(2, _DIGITS + 1):
        drawn = random.permutation(np.arange(10 ** (digits - 1), 10**digits)).tolist()
        shares: dict[Split, int] = {
            "val": len(drawn) // 10,
            "test": len(drawn) // 5,
            "train": len(drawn),
        }
        for split, most in _MOST.items():
            count = min(most, shares[split])
            numbers[split] += drawn[:count]
            drawn = drawn[count:]
    if longer:
        chosen = random.choice(10**_LONGER - 10**_DIGITS, _LONGER_COUNT, replace=False)
        numbers["test"] = (chosen + 10**_DIGITS).tolist()
    return numbers


def _check(direction: str, unit: str, test: str) -> None:
    wrong = [
        f"{name} is one of {', '.join(get_args(known))}; came {value!r}"
        for name, value, known in (
            ("direction", direction, Direction),
            ("unit", unit, Unit),
            ("test", test, Test),
        )
        if value not in get_args(known)
    ]
    if wrong:
        raise ValueError("; ".join(wrong))
