"""Read the numeric columns of a user's table as channels of a series, and fill missing values.

Legend: N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from quintain.data.files.problems import Problems, abbreviate
from quintain.data.tables.columns import Numbers, find_number_columns, read_numbers
from quintain.data.tables.table import Table
from quintain.data.tables.timestamps import Times, find_time_column, read_times
from quintain.errors import DataError

MissingPolicy = Literal["error", "drop", "previous", "interpolate", "zero"]
POLICIES: tuple[MissingPolicy, ...] = get_args(MissingPolicy)
HINT = f"set dataset.missing={'|'.join(POLICIES[1:])}"


@dataclass(frozen=True)
class Channels:
    """Numeric columns of a table, the targets first.

    Attributes:
        names: names of the channels.
        values: (N, C), NaN if a value is missing.
        times: times of the rows; None if the table has none.
        notes: remarks about what was inferred.
    """

    names: list[str]
    values: Numbers
    times: Times | None
    notes: list[str]


def read_channels(
    table: Table,
    problems: Problems,
    targets: Sequence[str],
    keys: Sequence[str],
    time: str | None,
    time_format: str | None,
    covariates: Sequence[str] | None,
) -> Channels:
    """Read the channels and times of a table; add a problem for each column that is invalid.

    Args:
        table: table to read.
        problems: collects problems, which the caller raises.
        targets: columns to forecast; the first channels.
        keys: other columns that must exist and are not channels, such as the label.
        time: column of the times; None: the one that contains times, if there is one.
        time_format: as in `strptime`; None: ISO 8601 or numbers.
        covariates: further channels; None: all other numeric columns.

    Raises:
        DataError: no channel can be read.
    """
    for name in keys:
        problems.catch(table.column, name)
    reserved = [*targets, *keys]
    time_column = time or problems.catch(
        find_time_column,
        table,
        [*reserved, *(covariates or ())],
        time_format,
        refuse_unknown_dates=covariates is None,
    )
    times = problems.catch(read_times, table, time_column, time_format) if time_column else None
    if covariates is None:
        others = find_number_columns(table, [*reserved, *([time_column] if time_column else [])])
    else:
        others = [name for name in covariates if name not in targets]
    names = [*targets, *others]
    if not names:
        problems.add(f"{table.path} has no numeric column to use as a channel")
    columns = {name: problems.catch(read_numbers, table, name) for name in names}
    readable = {name: column for name, column in columns.items() if column is not None}
    if not readable:
        problems.raise_if_any()
    notes = []
    if time is None and time_column:
        notes.append(f"times: column {time_column!r} (inferred)")
    elif time is None:
        notes.append("times: none, so the rows are in the order of the file (inferred)")
    if covariates is None:
        notes.append(f"channels: {', '.join(abbreviate(map(repr, names)))} (inferred)")
    return Channels(list(readable), np.stack(list(readable.values()), 1), times, notes)


def check_missing(table: Table, channels: Channels, policy: MissingPolicy) -> None:
    """Raise a DataError with columns and lines of missing values, if the policy is "error"."""
    if policy != "error":
        return
    problems = Problems()
    for name, column in zip(channels.names, channels.values.T, strict=True):
        if rows := np.flatnonzero(np.isnan(column)).tolist():
            problems.add(
                f"{table.path}, column {name!r}: no value in {table.positions(rows)}; {HINT}"
            )
    problems.raise_if_any()


def missing_notes(channels: Channels, policy: MissingPolicy) -> list[str]:
    """Return a note on the number of missing values of each channel, if there are any."""
    is_missing = np.isnan(channels.values)
    if not is_missing.any():
        return []
    counts = zip(channels.names, is_missing.sum(0).tolist(), strict=True)
    summary = ", ".join(f"{count:,} of {name!r}" for name, count in counts if count)
    if policy == "drop":
        rows = int(is_missing.any(1).sum())
        return [f"missing values ({summary}): rows left out: {rows:,} (missing=drop)"]
    return [f"missing values ({summary}): filled (missing={policy})"]


def fill_missing(
    values: Numbers, policy: MissingPolicy, names: Sequence[str], subject: str = "the series"
) -> Numbers:
    """Return the values (N, C) without NaN.

    Args:
        values: values of the channels; NaN if missing.
        policy: "drop" removes rows with a missing value, so that their neighbours become adjacent;
            "previous" repeats the last value of the channel; "interpolate" is linear between the
            neighbours, so it uses future values; "zero" is 0 in original units. With "previous" and
            "interpolate", missing values at the start take the first known value, and those at the
            end the last.
        names: names of the channels, for the error.
        subject: what the values are, for the error.

    Raises:
        DataError: a channel has no value at all, and the policy is not "drop" or "zero".
    """
    if not np.isnan(values).any():
        return values
    import pandas as pd  # here, since it takes half a second

    frame = pd.DataFrame(values)
    if policy == "drop":
        frame = frame.dropna()
    elif policy == "zero":
        frame = frame.fillna(0.0)
    elif empty := np.flatnonzero(np.isnan(values).all(0)).tolist():
        raise DataError(
            f"column {', '.join(abbreviate(repr(names[k]) for k in empty))} of {subject} has no "
            "value to fill from; leave it out, or set dataset.missing=zero"
        )
    elif policy == "previous":
        frame = frame.ffill().bfill()
    else:
        frame = frame.interpolate(limit_direction="both")
    return np.array(frame.to_numpy(), order="C")  # pandas returns a read-only view
