"""Standard JSON from strangers: no NaN, no number that none can hold, nothing said twice."""

from __future__ import annotations

import json
import math
from typing import Any

from quintain.records.bundles.manifest import MOST_DEPTH, MOST_TEXT

DIGITS = 20  # of a whole number: 64 bits and the sign


def strict_json(text: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no standard JSON, or something in it is too long or too deep.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            parse_constant=_no_number,
            parse_float=_float,
            parse_int=_int,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {MOST_DEPTH}") from error
    _measure(value)
    return value


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:DIGITS]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"the number {text[:DIGITS]}… has over {DIGITS} digits")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def _measure(value: Any, depth: int = 0) -> None:
    if depth > MOST_DEPTH:
        raise ValueError(f"it is nested deeper than {MOST_DEPTH}")
    if isinstance(value, str) and len(value) > MOST_TEXT:
        raise ValueError(f"a text of {len(value):,} characters; at most {MOST_TEXT:,} are taken")
    if isinstance(value, dict):
        for name, item in value.items():
            _measure(name)
            _measure(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _measure(item, depth + 1)
