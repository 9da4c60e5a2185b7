"""Read the numeric columns of a user's table as channels of a series.

Legend: N rows, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from quintain.data.files.problems import Problems, abbreviate
from quintain.data.tables.columns import (
    NumberColumn,
    Numbers,
    find_number_columns,
    read_labels,
    read_number_column,
)
from quintain.data.tables.number_formats import Decimal
from quintain.data.tables.table import Table
from quintain.data.tables.time_columns import find_time_column, is_counter
from quintain.data.tables.time_formats import Int64
from quintain.data.tables.timestamps import Times, read_times
from quintain.errors import DataError

MAX_INDICATORS = 20  # distinct texts of a column that becomes indicators


@dataclass(frozen=True)
class Channels:
    """Numeric columns of a table, the targets first.

    Attributes:
        names: names of the channels.
        values: (N, C), NaN if a value is missing.
        times: times of the rows; None if the table has none.
        notes: remarks about what was inferred.
        known: indices of the channels whose future is known.
        time: column of the times.
    """

    names: list[str]
    values: Numbers
    times: Times | None
    notes: list[str]
    known: tuple[int, ...] = ()
    time: str | None = None


@dataclass(frozen=True, kw_only=True)
class ColumnSettings:
    """The user's settings of columns; None is inferred.

    Attributes:
        targets: columns to forecast; the first channels.
        keys: other columns that must exist and are not channels, such as the label.
        time: column of the times; False: none, the rows are in the order of the file.
        time_format: as in `strptime`.
        covariates: further channels; texts become indicators (0 or 1) of their values.
        known: channels whose future is known, such as promotions.
        decimal: decimal sign.
    """

    targets: Sequence[str] = ()
    keys: Sequence[str] = ()
    time: str | Literal[False] | None = None
    time_format: str | None = None
    covariates: Sequence[str] | None = None
    known: Sequence[str] = ()
    decimal: Decimal | None = None


def read_channels(
    table: Table, problems: Problems, settings: ColumnSettings, groups: Int64 | None = None
) -> Channels:
    """Read the channels and times of a table; add a problem for each column that is invalid.

    Args:
        table: table to read.
        problems: collects problems, which the caller raises.
        settings: the user's settings.
        groups: number of the series of each row, (N,); None: all rows are one series.

    Raises:
        DataError: no channel can be read.
    """
    for name in settings.keys:
        problems.catch(table.column, name)
    reserved = [*settings.targets, *settings.keys]
    time_column, time_note = _find_time(table, problems, settings, groups)
    times = None
    if time_column:
        reserved.append(time_column)
        times = problems.catch(read_times, table, time_column, settings.time_format)
        kind = f", read as {times.kind}" if times and times.kind else ""
        time_note = f"times: column {time_column!r}{kind} (inferred)"
        if isinstance(settings.time, str) and not kind:
            time_note = ""
    columns: dict[str, NumberColumn | None] = {
        name: problems.catch(read_number_column, table, name, settings.decimal)
        for name in settings.targets
    }
    others, notes = _read_others(table, problems, settings, reserved, groups)
    columns |= others
    if not columns:
        problems.add(f"{table.path} has no numeric column to use as a channel{_join_notes(notes)}")
    readable = {name: column for name, column in columns.items() if column is not None}
    if not readable:
        problems.raise_if_any()
    names = list(readable)
    if settings.covariates is None:
        notes.insert(0, f"channels: {', '.join(abbreviate(map(repr, names)))} (inferred)")
    for column in readable.values():
        notes += column.notes
    known = tuple(
        k for k, name in enumerate(names) if name.partition("=")[0] in settings.known
        or name in settings.known
    )  # fmt: skip
    values = np.stack([column.values for column in readable.values()], 1)
    return Channels(names, values, times, [*filter(None, [time_note]), *notes], known, time_column)


def _find_time(
    table: Table, problems: Problems, settings: ColumnSettings, groups: Int64 | None
) -> tuple[str | None, str]:
    """Return the time column, or None and a note that there is none."""
    if isinstance(settings.time, str):
        return settings.time, ""
    if settings.time is False:
        return None, "times: none, so the rows are in the order of the file (time=false)"
    without = [*settings.targets, *settings.keys, *(settings.covariates or ()), *settings.known]
    name = problems.catch(
        find_time_column,
        table,
        without,
        settings.time_format,
        groups,
        needs_channel=not settings.targets,
    )
    return name, "times: none, so the rows are in the order of the file (inferred)"


def _read_others(
    table: Table,
    problems: Problems,
    settings: ColumnSettings,
    reserved: Sequence[str],
    groups: Int64 | None,
) -> tuple[Mapping[str, NumberColumn | None], list[str]]:
    """Return the channels that are not targets, and notes on columns that were left out."""
    chosen = [*(settings.covariates or ()), *settings.known]
    read: dict[str, NumberColumn | None] = {}
    for name in dict.fromkeys(name for name in chosen if name not in settings.targets):
        read |= problems.catch(_read_covariate, table, name, settings.decimal) or {name: None}
    if settings.covariates is not None:
        return read, []
    found, reasons = find_number_columns(table, [*reserved, *chosen], problems, settings.decimal)
    counters = [name for name, column in found.items() if is_counter(column.values, groups)]
    if len(counters) < len(found) or settings.targets:
        found = {name: column for name, column in found.items() if name not in counters}
        reasons |= {name: "it counts the rows" for name in counters}
    texts = [f"{name!r} ({reason})" for name, reason in reasons.items()]
    notes = [f"columns left out: {', '.join(abbreviate(texts))}"] if texts else []
    return read | found, notes


def _read_covariate(
    table: Table, name: str, decimal: Decimal | None
) -> dict[str, NumberColumn | None]:
    """Return a column of numbers, or an indicator of each value of a column of texts."""
    try:
        return {name: read_number_column(table, name, decimal)}
    except DataError:
        labels = read_labels(table, name)
        texts = sorted(set(labels) - {""})
        has_digits = any(map(str.isdigit, "".join(texts)))
        if has_digits or not 2 <= len(texts) <= MAX_INDICATORS:
            raise
    indicators = [
        np.array([float(label == text) if label else math.nan for label in labels])
        for text in texts
    ]
    note = f"column {name!r} as indicators: {', '.join(abbreviate(map(repr, texts)))}"
    notes = [(note,), *[()] * len(texts)]
    return {
        f"{name}={text}": NumberColumn(values, own_notes)
        for text, values, own_notes in zip(texts, indicators, notes, strict=False)
    }


def _join_notes(notes: Sequence[str]) -> str:
    return "".join(f"; {note}" for note in notes)
