"""Read columns of a table as numbers, labels or texts; errors name the lines of invalid values.

Numbers are not parsed by `pandas.to_numeric`, which turns "n/a", "x" and "1_000" all into NaN.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quintain.data.files.problems import Problems, abbreviate, short_repr
from quintain.data.tables.delimited import is_number
from quintain.data.tables.number_formats import (
    DECIMALS,
    Decimal,
    Reading,
    infer_decimal,
    read_formatted,
    resembles_thousands,
)
from quintain.data.tables.table import Table
from quintain.data.text.unicode_form import compose
from quintain.errors import DataError

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"})
"""Lower-case texts of a missing number. A missing text or label is empty."""
_SAMPLE = 100  # first values that decide whether a column is read as numbers
_WITH_UNIT = re.compile(r"[+-]?[\d.,' ]*\d ?[^\d\s()]+")
_IN_PARENTHESES = re.compile(r"\([^()]*\d[^()]*\)")
_SIGN_NAMES = {",": "comma", ".": "point"}

Numbers = npt.NDArray[np.float64]


class NumberColumn(NamedTuple):
    """A column as numbers, NaN if a number is missing, and notes on how its text was read."""

    values: Numbers
    notes: tuple[str, ...] = ()


def read_numbers(table: Table, name: str, decimal: Decimal | None = None) -> Numbers:
    """Return the values of `read_number_column`, without its notes."""
    return read_number_column(table, name, decimal).values


def read_number_column(table: Table, name: str, decimal: Decimal | None = None) -> NumberColumn:
    """Read a column as numbers, NaN if a number is missing (`MISSING`).

    Separators of thousands, decimal commas, and a currency or percent sign that all values have are
    understood; a note gives an example.

    Args:
        table: table of the column.
        name: name of the column.
        decimal: decimal sign; None: inferred from this column, then from the others.

    Raises:
        DataError: there is no such column, it has values that are not finite numbers, or numbers
            such as 5,110 that may be 5110 or 5.11.
    """
    values = table.column(name)
    plain = _parse_plain(values)
    if plain is not None:
        doubt = "" if decimal == "point" else resembles_thousands(values)
        chosen = decimal or (infer_decimal(table.columns.values()) if doubt else "point")
        if chosen is None and doubt == "some":
            raise DataError(_describe_ambiguous(table, name, "."))
        if chosen != "comma" or all(map(_is_not_text, values)):
            return NumberColumn(plain, _point_notes(name, values) if chosen is None else ())
        decimal = "comma"
    choices: list[Decimal] = [decimal] if decimal else list(DECIMALS)
    readings = {choice: read_formatted(values, MISSING, choice) for choice in choices}
    complete = {c: r for c, r in readings.items() if not np.isinf(r.numbers).any()}
    if not complete:
        best = min(readings.values(), key=lambda reading: np.isinf(reading.numbers).sum())
        raise DataError(_describe_invalid(table, name, best))
    reading = next(iter(complete.values()))
    if not all(_are_equal(reading, other) for other in complete.values()):
        inferred = infer_decimal(table.columns.values())
        if inferred is None:
            raise DataError(_describe_ambiguous(table, name, ","))
        reading = complete[inferred]
    numbers = np.array(reading.numbers)
    return NumberColumn(numbers, _format_notes(name, values, numbers))


def find_number_columns(
    table: Table, without: Iterable[str], problems: Problems, decimal: Decimal | None = None
) -> tuple[dict[str, NumberColumn], dict[str, str]]:
    """Return the numeric columns in the order of the file, and why each other column is none.

    Columns of numbers that may be read in two ways are added to `problems`.
    """
    excluded = set(without)
    columns: dict[str, NumberColumn] = {}
    reasons: dict[str, str] = {}
    for name in table.columns:
        if name in excluded:
            continue
        if reason := _find_text(table, name, decimal):
            reasons[name] = reason
            continue
        column = problems.catch(read_number_column, table, name, decimal)
        if column is None:
            continue
        if np.isnan(column.values).all():
            reasons[name] = "it has no value"
        else:
            columns[name] = column
    return columns, reasons


def read_labels(table: Table, name: str) -> list[str]:
    """Return a column as labels without surrounding white space; "" if a label is missing.

    Integral numbers have no decimals (1.0 is "1"), so that CSV and Parquet give the same labels.

    Raises:
        DataError: there is no such column, or it has values that are lists or objects.
    """
    return [text.strip() for text in read_texts(table, name)]


def read_texts(table: Table, name: str) -> list[str]:
    """Return a column as texts in the form NFC, "" if one is missing; raise as `read_labels`."""
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


def _parse_plain(values: Sequence[Any]) -> Numbers | None:
    """Return numbers without separators, NaN if missing; None if a value is something else."""
    try:
        return _parse_floats(values)
    except (ValueError, TypeError):
        pass
    try:
        return _parse_floats([math.nan if _is_missing(value) else value for value in values])
    except (ValueError, TypeError):
        return None


def _parse_floats(values: Sequence[Any]) -> Numbers:
    if values and isinstance(values[0], str) and "_" in "".join(map(str, values)):
        raise ValueError("Python reads 1_000 as a number; a table does not")
    numbers = np.fromiter(map(float, values), np.float64, len(values))
    if np.isinf(numbers).any():
        raise ValueError("a number is not finite")
    return numbers


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().casefold() in MISSING)


def _is_not_text(value: Any) -> bool:
    return not isinstance(value, str)


def _are_equal(a: Reading, b: Reading) -> bool:
    return np.array_equal(a.numbers, b.numbers, equal_nan=True)


def _describe_invalid(table: Table, name: str, reading: Reading) -> str:
    values = table.columns[name]
    bad = np.flatnonzero(np.isinf(reading.numbers)).tolist()
    examples = [f"{table.position(k)} has {short_repr(values[k])}" for k in bad]
    texts = [str(values[k]).strip() for k in bad]
    hint = ""
    if reading.unit:
        hint = f"; other values have the unit {reading.unit!r}"
    elif all(_WITH_UNIT.fullmatch(text) for text in texts):
        hint = "; remove the units"
    elif all(_IN_PARENTHESES.fullmatch(text) for text in texts):
        hint = "; write negative numbers with a minus sign"
    return (
        f"{table.path}, column {name!r}: expected numbers; "
        f"{', '.join(abbreviate(examples, shown=3))}{hint}"
    )


def _describe_ambiguous(table: Table, name: str, separator: str) -> str:
    values = table.columns[name]
    row = next(k for k, value in enumerate(values) if separator in str(value))
    text = str(values[row]).strip()
    settings = {",": ("point", "comma"), ".": ("comma", "point")}[separator]
    return (
        f"{table.path}, column {name!r}: {text!r} ({table.position(row)}) may be "
        f"{text.replace(separator, '')} or {float(text.replace(separator, '.')):g}; write it so, "
        f"or (csv_series) set dataset.decimal={settings[0]} if the {_SIGN_NAMES[separator]} "
        f"separates thousands, dataset.decimal={settings[1]} if it is the decimal sign"
    )


def _point_notes(name: str, values: Sequence[Any]) -> tuple[str, ...]:
    text = next(v.strip() for v in values if isinstance(v, str) and "." in v)
    number = float(text)
    return (
        f"column {name!r}: {text} is read as {number:g}; dataset.decimal=comma reads "
        f"{text.replace('.', '')}",
    )


def _format_notes(name: str, values: Sequence[Any], numbers: Numbers) -> tuple[str, ...]:
    """Return a note with the first value whose text is not that of its number."""
    for value, number in zip(values, numbers.tolist(), strict=True):
        if not isinstance(value, str) or math.isnan(number):
            continue
        if not is_number(value) or float(value) != number:
            return (f"column {name!r}: {value.strip()!r} is read as {number:.12g} (inferred)",)
    return ()


def _find_text(table: Table, name: str, decimal: Decimal | None) -> str:
    """Return why a column is not numeric, with its first such value; "" if it is numeric."""
    values = table.columns[name]
    for rows in (values[:_SAMPLE], values):  # without parsing the whole column
        if _parse_plain(rows) is not None:
            continue
        readings = [
            read_formatted(rows, MISSING, choice) for choice in ([decimal] if decimal else DECIMALS)
        ]
        bad = [np.isinf(reading.numbers) for reading in readings]
        worst = min(bad, key=lambda is_bad: is_bad.sum())
        if worst.any():
            row = int(worst.argmax())
            return f"{table.position(row)} has {short_repr(rows[row])}"
    return ""


def _to_text(table: Table, name: str, row: int, value: Any) -> str:
    if isinstance(value, str):
        return compose(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict | bytes):
        raise DataError(
            f"{table.path}, column {name!r}: expected a text or a number; {table.position(row)} "
            f"has {short_repr(value)}"
        )
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
