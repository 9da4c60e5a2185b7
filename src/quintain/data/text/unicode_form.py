"""Texts in Unicode's composed form (NFC), so that equal texts are equal strings (UAX 15)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def compose(text: str) -> str:
    """Return the text in the form NFC: é is one code point, and marks have a fixed order."""
    return unicodedata.normalize("NFC", text)


def describe_composed(subject: str, values: Iterable[object]) -> list[str]:
    """Return a note on how many texts are not in the form NFC; other values do not count."""
    texts = (value for value in values if isinstance(value, str))
    if count := sum(not unicodedata.is_normalized("NFC", text) for text in texts):
        return [f"{subject} brought to one Unicode form (NFC): {count:,}"]
    return []
