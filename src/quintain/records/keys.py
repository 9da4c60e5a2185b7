"""A record's key, computed again from what the record says of its cell.

The same hash as `compose.cells.keys`, from the other end: there of a configuration before the run,
here of what the record kept of it. A test holds the two together on composed cells.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from quintain.records.schema import Record
from quintain.records.scrub import HIDDEN

KEY_LENGTH = 32  # hex digits: 128 bits


def recomputed(record: Record) -> tuple[str, str] | None:
    """Key and group that the record's cell, seed and kind give.

    None where that cannot be told: a secret or a number that is none was taken out of the cell.
    """
    if HIDDEN in json.dumps(record.cell) or any(p.startswith("cell.") for p in record.nonfinite):
        return None
    decides = dict(record.cell)
    decides["reference"] = record.names.model if record.reference else None
    if record.trial:
        decides["study"] = record.trial.study
    return _digest({**decides, "seed": record.seed}), _digest(decides)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
