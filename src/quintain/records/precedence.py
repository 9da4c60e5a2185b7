"""Decides which of two records of one cell is kept when stores are merged, in any order.

The sort order is total: a record of a newer schema than this quintain can read comes first, then
`ok` before any other status, then the record that finished later, then the higher content hash.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import NamedTuple

from quintain.records.schema import SCHEMA

HASH_LENGTH = 32  # hexadecimal digits: 128 bits, as in a cell's key


class Precedence(NamedTuple):
    """The sort key of a record; the highest one is kept."""

    schema: int
    ok: bool
    finished: float
    content_hash: str


def content_hash(text: bytes) -> str:
    """Return the SHA-256 of a record's file, shortened to `HASH_LENGTH` digits."""
    return hashlib.sha256(text).hexdigest()[:HASH_LENGTH]


def precedence_of(text: bytes) -> Precedence:
    """Return the precedence of a record's text, of any schema version.

    Raises:
        ValueError: the text is not a JSON object.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    schema = values.get("schema")
    return Precedence(
        max(schema, SCHEMA) if type(schema) is int else 0,
        values.get("status") == "ok",
        _parse_timestamp(values.get("finished")),
        content_hash(text),
    )


def _parse_timestamp(value: object) -> float:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
