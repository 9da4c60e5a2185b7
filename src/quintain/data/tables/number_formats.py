"""Tell the format of numbers written as text: decimal sign, separators of thousands, units.

`5,110` is five thousand in one table and five and a bit in another. What decides is the user's
setting, else a number with one reading only (`5,110.5`, `5,11`) in the same column, or in another
one, since a table has one convention; else the column is refused.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

Decimal = Literal["point", "comma"]
DECIMALS: Final[Mapping[Decimal, str]] = {"point": ".", "comma": ","}
SAMPLED_ROWS = 50  # rows of each column that may prove the convention of the table

_CHARACTERS: Final = str.maketrans({
    **dict.fromkeys("\u00a0\u2007\u2009\u202f", " "),  # spaces between thousands
    "\u2212": "-",  # minus sign
    "\u2019": "'",  # apostrophe of Swiss numbers
})  # fmt: skip
_UNIT: Final = r"([$€£¥₹₩₽₺₴฿¢%‰°]|US\$|CHF|EUR|USD|GBP|)"
_EXPONENT: Final = r"(?:[eE][+-]?\d+)?"
_PATTERNS: Final[Mapping[Decimal, re.Pattern[str]]] = {
    "point": re.compile(
        rf"([+-]?){_UNIT} ?([+-]?(?:[1-9]\d{{0,2}}([,' ])(?:\d{{2,3}}\4)*\d{{3}}|\d*)(?:\.\d*)?"
        rf"{_EXPONENT}) ?{_UNIT}"
    ),
    "comma": re.compile(
        rf"([+-]?){_UNIT} ?([+-]?(?:[1-9]\d{{0,2}}([.' ])(?:\d{{3}}\4)*\d{{3}}|\d*)(?:,\d*)?"
        rf"{_EXPONENT}) ?{_UNIT}"
    ),
}
"""Groups: sign, unit before, number, separator of thousands, unit after."""
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_SHORT: Final = re.compile(r"[+-]?\d{1,3}")
_PROOF: Final = re.compile(
    r"[+-]?[$€£]? ?(?:\d+|\d{1,3}(?:[.,' ]\d{3})+)([.,])(?:\d{1,2}|\d{4,}) ?[%€]?"
)


class Reading(NamedTuple):
    """The numbers of a column: NaN if missing, infinity if a value is none in this format.

    `separator` and `unit` are those that most values have; "" if there is none.
    """

    numbers: list[float]
    separator: str
    unit: str


def infer_decimal(columns: Iterable[Sequence[Any]]) -> Decimal | None:
    """Return the decimal sign of a table; None if its columns do not prove one."""
    texts = (v for values in columns for v in values[:SAMPLED_ROWS] if isinstance(v, str))
    signs = {match[1] for text in texts if (match := _PROOF.fullmatch(_clean(text)))}
    return next((name for name, sign in DECIMALS.items() if signs == {sign}), None)


def resembles_thousands(values: Sequence[Any]) -> Literal["", "some", "all"]:
    """Return whether numbers are all like 5.110, which may be 5.11 or 5110, or some are like 987.

    They are not if one is like 0.305 or 12.25.
    """
    for rows in (values[:SAMPLED_ROWS], values):  # without reading all values of most columns
        texts = [v.strip() for v in rows if isinstance(v, str) and v.strip()]
        grouped = sum(_GROUPED.fullmatch(text) is not None for text in texts)
        short = sum(_SHORT.fullmatch(text) is not None for text in texts)
        if not grouped + short or grouped + short < len(texts):
            return ""
    return "" if not grouped else "some" if short else "all"


def read_formatted(values: Sequence[Any], missing: Collection[str], decimal: Decimal) -> Reading:
    """Read numbers with this decimal sign.

    A value is a number if its unit ($, %) is that of most values, which may be none, and its
    separator of thousands that of most values that have one.
    """
    texts = [_clean(value) if isinstance(value, str) else value for value in values]
    matches = [_PATTERNS[decimal].fullmatch(t) if isinstance(t, str) else None for t in texts]
    is_digit = [match is not None and any(map(str.isdigit, match[3])) for match in matches]
    found = [match for match, is_found in zip(matches, is_digit, strict=True) if match and is_found]
    separator = _most_common(match[4] for match in found if match[4])
    unit = _most_common(match[2] or match[5] for match in found)
    numbers = []
    for text, match, is_found in zip(texts, matches, is_digit, strict=True):
        if not isinstance(text, str) or text.casefold() in missing:
            numbers.append(_to_float(text))
        elif match is None or not is_found:
            numbers.append(math.inf)
        else:
            numbers.append(_to_number(match, separator, unit, DECIMALS[decimal]))
    return Reading(numbers, separator, unit)


def _to_number(match: re.Match[str], separator: str, unit: str, decimal: str) -> float:
    sign, before, number, own_separator, after = match.groups()
    is_unit = unit == (before or after) and not (before and after)
    if not is_unit or own_separator not in (None, separator) or (sign and number[0] in "+-"):
        return math.inf
    number = number.replace(separator, "") if separator else number
    try:
        return float(sign + number.replace(decimal, "."))
    except ValueError:
        return math.inf


def _to_float(value: Any) -> float:
    """Return the number of a value that is missing or has a type of its own (JSON, Parquet)."""
    if value is None or isinstance(value, str):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.inf


def _clean(text: str) -> str:
    return text.strip().translate(_CHARACTERS)


def _most_common(items: Iterable[str]) -> str:
    counts = Counter(items)
    return counts.most_common(1)[0][0] if counts else ""
