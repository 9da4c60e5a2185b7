"""Which of two records of one cell is kept, whatever the order in which stores meet.

The order is total, so the best of any number of records is the same however they are merged: a
newer schema before an older one, `ok` before anything else, the one that finished later, and of
two that finished in the same microsecond the one whose text has the higher hash.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import NamedTuple

DIGEST = 32  # hexadecimal digits of a record's content: 128 bits, as in a cell's key


class Rank(NamedTuple):
    """Compares as a tuple does; the highest is kept."""

    schema: int
    ok: bool
    finished: float
    digest: str


def digest(text: bytes) -> str:
    """The hash of a record's content."""
    return hashlib.sha256(text).hexdigest()[:DIGEST]


def rank(text: bytes) -> Rank:
    """The rank of a record, also of one whose schema is newer than ours.

    Raises:
        ValueError: the text is no JSON object.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    schema = values.get("schema")
    return Rank(
        schema if type(schema) is int else 0,
        values.get("status") == "ok",
        _moment(values.get("finished")),
        digest(text),
    )


def _moment(value: object) -> float:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
