"""Find and fill missing values of series.

Legend: N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from quintain.data.files.problems import Problems, abbreviate
from quintain.data.tables.channels import Channels
from quintain.data.tables.columns import Numbers
from quintain.data.tables.table import Table
from quintain.errors import DataError

MissingPolicy = Literal["error", "drop", "previous", "interpolate", "zero"]
POLICIES: tuple[MissingPolicy, ...] = get_args(MissingPolicy)
HINT = f"set dataset.missing={'|'.join(POLICIES[1:])}"


def check_missing(
    table: Table, channels: Channels, policy: MissingPolicy, rows: Sequence[int]
) -> None:
    """Raise a DataError with columns and lines of missing values, if the policy is "error"."""
    if policy != "error":
        return
    problems, chosen = Problems(), np.asarray(rows, np.int64)
    for name, column in zip(channels.names, channels.values[chosen].T, strict=True):
        if empty := chosen[np.isnan(column)].tolist():
            problems.add(
                f"{table.path}, column {name!r}: no value in {table.positions(empty)}; {HINT}"
            )
    problems.raise_if_any()


def missing_notes(channels: Channels, policy: MissingPolicy, rows: Sequence[int]) -> list[str]:
    """Return a note on the number of missing values of each channel, if there are any."""
    is_missing = np.isnan(channels.values[np.asarray(rows, np.int64)])
    if not is_missing.any():
        return []
    counts = zip(channels.names, is_missing.sum(0).tolist(), strict=True)
    summary = ", ".join(f"{count:,} of {name!r}" for name, count in counts if count)
    if policy == "drop":
        count = int(is_missing.any(1).sum())
        return [f"missing values ({summary}): rows left out: {count:,} (missing=drop)"]
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
