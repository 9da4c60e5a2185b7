"""Parses untrusted JSON: no NaN, oversized numbers or texts, or duplicate names."""

from __future__ import annotations

import json
import math
from typing import Any

from quintain.records.bundles.manifest import MAX_DEPTH, MAX_TEXT_LENGTH

MAX_DIGITS = 20  # of an integer of 64 bits, with its sign
INTEGERS = range(-(2**63), 2**63)  # as in `records.field_types.Int64`


def parse_strict_json(text: bytes) -> Any:
    """Parse a JSON text; ValueError if it is not standard JSON, or exceeds a limit."""
    try:
        value = json.loads(
            text.decode("utf-8"),
            parse_constant=_reject_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
            object_pairs_hook=_make_object,
        )
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}") from error
    _check_limits(value)
    return value


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:MAX_DIGITS]} is too large")
    return value


def _parse_int(text: str) -> int:
    # The digits are counted first, because `int` takes long for a million of them.
    if len(text) > MAX_DIGITS or (value := int(text)) not in INTEGERS:
        raise ValueError(f"the number {text[:MAX_DIGITS]} does not fit into 64 bits")
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("an object has the same name twice")
    return result


def _check_limits(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    if isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
        raise ValueError(
            f"a text of {len(value):,} characters; at most {MAX_TEXT_LENGTH:,} are allowed"
        )
    if isinstance(value, dict):
        for name, item in value.items():
            _check_limits(name)
            _check_limits(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_limits(item, depth + 1)
