"""Recomputes a record's key from its cell.

`plan.cell` computes the same hash from the configuration before the run; a test compares the two.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from quintain.records.redact import REDACTED
from quintain.records.schema import Record

KEY_LENGTH = 32  # hexadecimal digits: 128 bits


def recompute_key(record: Record) -> tuple[str, str] | None:
    """Return key and group (the key without the seed) as computed from the record's cell.

    None if a secret or a non-finite number was removed from the cell.
    """
    is_redacted = REDACTED in json.dumps(record.cell)
    if is_redacted or any(path.startswith("cell.") for path in record.nonfinite):
        return None
    hashed = dict(record.cell)
    # `baseline` keeps its old name here, because the keys of existing records depend on it.
    hashed["reference"] = record.names.model if record.baseline else None
    if record.trial:
        hashed["study"] = record.trial.study
    return _hash_json({**hashed, "seed": record.seed}), _hash_json(hashed)


def _hash_json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
