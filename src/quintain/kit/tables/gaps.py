"""Absent values and absent steps of a series: one stated policy, and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import some
from quintain.kit.tables.times import Int64

Missing = Literal["error", "drop", "previous", "interpolate", "zero"]
FILLS = ("drop", "previous", "interpolate", "zero")

Values = npt.NDArray[np.float64]


def spread(values: Values, places: Int64) -> Values:
    """Rows (N, C) at their steps of the grid, (places[-1] + 1, C); NaN at steps that are absent."""
    grid = np.full((int(places[-1]) + 1, values.shape[1]), np.nan)
    grid[places] = values
    return grid


def fill(
    values: Values, policy: Missing, names: Sequence[str] = (), where: str = "the series"
) -> Values:
    """Values (N, C) with NaN where one is absent → without NaN.

    Args:
        policy: "drop" leaves out rows that lack a value, so that their neighbours come to stand
            side by side; "previous" repeats the last value of the channel; "interpolate" draws a
            straight line between the neighbours, and so looks ahead; "zero" is 0 in the data's own
            units. Values absent at the beginning take the first that is there, with "interpolate"
            those at the end the last.
        names: of the channels, for the error; none: their numbers.
        where: what the values are, for the error.

    Raises:
        DataError: a channel without any value, which only "drop" and "zero" can do with.
    """
    if policy == "drop":
        return values[~np.isnan(values).any(1)]
    if policy == "zero":
        return np.nan_to_num(values, nan=0.0)
    if empty := np.flatnonzero(np.isnan(values).all(0)).tolist():
        said = ", ".join(some(repr(names[k]) if names else str(k) for k in empty))
        raise DataError(
            f"column {said} of {where} has no value to fill from; leave it out, or set"
            " dataset.missing=zero"
        )
    steps = np.arange(len(values))
    filled = np.empty_like(values)
    for channel in range(values.shape[1]):
        known = np.flatnonzero(~np.isnan(values[:, channel]))
        if policy == "interpolate":
            filled[:, channel] = np.interp(steps, known, values[known, channel])
        else:
            latest = np.searchsorted(known, steps, side="right") - 1
            filled[:, channel] = values[known[latest.clip(min=0)], channel]
    return filled
