"""Values as standard JSON has them."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel


def plain_json(value: Any, nonfinite: dict[str, str], path: str = "") -> Any:
    """`value` with models as dicts, tuples as lists, valid text and non-finite floats as None.

    Each replaced float is noted in `nonfinite` under its dotted path.
    """
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)  # numpy's float64 is a float too, but prints as its own type
        nonfinite[path] = str(float(value))
        return None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # a log's stray bytes are no Unicode
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True)
    prefix = f"{path}." if path else ""
    if isinstance(value, dict):
        return {k: plain_json(v, nonfinite, f"{prefix}{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v, nonfinite, f"{prefix}{i}") for i, v in enumerate(value)]
    return value
