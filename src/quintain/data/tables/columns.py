"""Read columns of a table as numbers, labels or texts; errors name the lines of invalid values.

Numbers are not parsed by `pandas.to_numeric`, which turns "n/a", "x" and "1_000" all into NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quintain.data.files.problems import abbreviate, short_repr
from quintain.data.tables.table import Table
from quintain.errors import DataError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""Lower-case texts of a missing number. A missing text or label is empty."""

Numbers = npt.NDArray[np.float64]


def read_numbers(table: Table, name: str) -> Numbers:
    """Return a column as numbers, NaN if a number is missing (`MISSING`).

    Raises:
        DataError: there is no such column, or it has values that are not finite numbers.
    """
    values = table.column(name)
    try:
        parsed = _parse_all_numbers(values)
    except (ValueError, TypeError):
        parsed = np.array([_parse_number(value) for value in values])
    if np.isinf(parsed).any():
        bad = np.flatnonzero(np.isinf(parsed)).tolist()
        examples = abbreviate(
            (f"{table.position(k)} has {short_repr(values[k])}" for k in bad), shown=3
        )
        has_commas = all(_has_comma(values[k]) for k in bad)
        hint = "; write decimals with a point" if has_commas else ""
        raise DataError(
            f"{table.path}, column {name!r}: expected numbers; {', '.join(examples)}{hint}"
        )
    return parsed


def find_number_columns(table: Table, without: Iterable[str]) -> list[str]:
    """Return the names of numeric columns, in the order of the file."""
    excluded = set(without)
    return [name for name in table.columns if name not in excluded and _is_numeric(table, name)]


def read_labels(table: Table, name: str) -> list[str]:
    """Return a column as labels without surrounding white space; "" if a label is missing.

    Integral numbers have no decimals (1.0 is "1"), so that CSV and Parquet give the same labels.

    Raises:
        DataError: there is no such column, or it has values that are lists or objects.
    """
    return [text.strip() for text in read_texts(table, name)]


def read_texts(table: Table, name: str) -> list[str]:
    """Return a column as unchanged texts, "" if a text is missing; raise as `read_labels`."""
    return [_to_text(table, name, row, value) for row, value in enumerate(table.column(name))]


def to_column_names(columns: str | int | Sequence[str] | Sequence[int] | None) -> list[str] | None:
    """Return one or several column names as strings; Hydra parses a column 2022 as a number."""
    if columns is None:
        return None
    return list(map(str, [columns] if isinstance(columns, str | int) else columns))


def sort_class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return each label once, sorted; numerically if all are integers."""
    names = set(labels)
    if all(name.lstrip("-").isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _parse_all_numbers(values: Sequence[Any]) -> Numbers:
    """Parse all values at once; raise ValueError or TypeError if one needs `_parse_number`."""
    if values and isinstance(values[0], str) and "_" in "".join(values):
        raise ValueError("Python reads 1_000 as a number; a table does not")
    return np.fromiter(map(float, values), np.float64, len(values))


def _parse_number(value: Any) -> float:
    """Return the number, NaN if it is missing, infinity if it is not a finite number."""
    if value is None or (isinstance(value, str) and value.strip().casefold() in MISSING):
        return math.nan
    try:
        return math.inf if isinstance(value, str) and "_" in value else float(value)
    except (ValueError, TypeError, OverflowError):
        return math.inf


def _has_comma(value: Any) -> bool:
    """Return whether a string is a number with a decimal comma."""
    is_text = isinstance(value, str) and value.count(",") == 1
    return is_text and math.isfinite(_parse_number(value.replace(",", ".")))


def _is_numeric(table: Table, name: str) -> bool:
    values = table.columns[name]
    if any(map(math.isinf, map(_parse_number, values[:100]))):
        return False  # without parsing the whole column
    try:
        return not np.isnan(read_numbers(table, name)).all()
    except DataError:
        return False


def _to_text(table: Table, name: str, row: int, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict | bytes):
        raise DataError(
            f"{table.path}, column {name!r}: expected a text or a number; {table.position(row)} "
            f"has {short_repr(value)}"
        )
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
