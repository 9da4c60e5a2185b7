"""Columns of a table as numbers, labels or texts; what does not fit is named by line and column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import short, some
from quintain.kit.tables.table import Table

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""Texts that stand for an absent number, in small letters. An absent text or label is empty."""

Numbers = npt.NDArray[np.float64]


def numbers(table: Table, name: str) -> Numbers:
    """A column as numbers, NaN where one is absent (`MISSING`).

    Raises:
        DataError: no such column, or values that are no finite numbers: their lines are named.
    """
    values = table.column(name)
    try:
        found = _quick(values)
    except (ValueError, TypeError):
        found = np.array([_number(value) for value in values])
    if np.isinf(found).any():
        raise DataError(_no_numbers(table, name, np.flatnonzero(np.isinf(found)).tolist()))
    return found


def number_columns(table: Table, without: Iterable[str]) -> list[str]:
    """Names of the columns that hold numbers and nothing else, in the order of the file."""
    left_out = set(without)
    return [name for name in table.columns if name not in left_out and _is_number(table, name)]


def labels(table: Table, name: str) -> list[str]:
    """A column as labels, white space at their ends removed; "" where one is absent.

    Whole numbers are written as such: 1.0 is "1", so that a label is the same from CSV and Parquet.

    Raises:
        DataError: no such column, or values that are lists or objects.
    """
    return [_text(table, name, k, value).strip() for k, value in enumerate(table.column(name))]


def texts(table: Table, name: str) -> list[str]:
    """A column as texts as they stand; "" where one is absent.

    Raises:
        DataError: as `labels`.
    """
    return [_text(table, name, k, value) for k, value in enumerate(table.column(name))]


def class_names(found: Iterable[str]) -> tuple[str, ...]:
    """The labels that occur, each once: in order as numbers where all are whole numbers."""
    names = set(found)
    if all(name.lstrip("-").isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _quick(values: Sequence[Any]) -> Numbers:
    """All values at once; raises where one of them needs a closer look."""
    if values and isinstance(values[0], str) and "_" in "".join(values):
        raise ValueError("Python reads 1_000 as a number; a table does not")
    return np.fromiter(map(float, values), np.float64, len(values))


def _number(value: Any) -> float:
    """A number, NaN where it is absent, and infinity where the value is none."""
    if value is None or (isinstance(value, str) and value.strip().casefold() in MISSING):
        return math.nan
    try:
        return math.inf if isinstance(value, str) and "_" in value else float(value)
    except (ValueError, TypeError, OverflowError):
        return math.inf


def _no_numbers(table: Table, name: str, wrong: Sequence[int]) -> str:
    values = table.column(name)
    where = (f"{table.unit} {table.places[k]} has {short(values[k])}" for k in wrong)
    text = f"{table.path}, column {name!r}: expected numbers; {', '.join(some(where, shown=3))}"
    comma = all(isinstance(values[k], str) and _has_decimal_comma(values[k]) for k in wrong)
    return f"{text}; write decimals with a point" if comma else text


def _has_decimal_comma(text: str) -> bool:
    return text.count(",") == 1 and math.isfinite(_number(text.replace(",", ".")))


def _is_number(table: Table, name: str) -> bool:
    values = table.columns[name]
    if not all(math.isfinite(x) or math.isnan(x) for x in map(_number, values[:100])):
        return False  # most columns of text are told by their beginning
    try:
        return not np.isnan(numbers(table, name)).all()
    except DataError:
        return False


def _text(table: Table, name: str, row: int, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict | bytes):
        raise DataError(
            f"{table.path}, column {name!r}: expected a text or a number; {table.unit} "
            f"{table.places[row]} has {short(value)}"
        )
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
