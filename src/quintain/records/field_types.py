"""Types of the fields of records: strict models, bounded numbers and standard JSON values."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]  # DuckDB and other readers allow no more
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0)]
Milliseconds = Annotated[float, AfterValidator(lambda value: round(value, 3))]  # clock precision


def _check_date(value: str) -> str:
    datetime.fromisoformat(value)  # the pattern alone would allow month 13
    return value


Timestamp = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"),
    AfterValidator(_check_date),
]
"""A moment in UTC, in ISO 8601."""


class FrozenModel(BaseModel):
    """An immutable pydantic model that converts no types and rejects unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def to_standard_json(value: Any, nonfinite: dict[str, str], path: str = "") -> Any:
    """Return a value as plain types that standard JSON can represent.

    Models become dicts, tuples become lists, characters that UTF-8 cannot encode become `?`, and
    floats that are not finite become None; `nonfinite` receives dotted path → "nan" or "inf".
    """
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)  # numpy.float64 is a subclass with another repr
        nonfinite[path] = str(float(value))
        return None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True)
    prefix = f"{path}." if path else ""
    if isinstance(value, dict):
        return {k: to_standard_json(v, nonfinite, f"{prefix}{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_standard_json(v, nonfinite, f"{prefix}{i}") for i, v in enumerate(value)]
    return value
