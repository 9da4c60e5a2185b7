"""Build regular series from the channels of a table: sorted by time, without missing values.

Legend: N rows, S steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from quintain.data.files.problems import Problems
from quintain.data.tables.channels import Channels
from quintain.data.tables.columns import Numbers
from quintain.data.tables.frequency import Frequency, infer_frequency
from quintain.data.tables.missing_values import (
    HINT,
    MissingPolicy,
    check_missing,
    fill_missing,
)
from quintain.data.tables.table import Table
from quintain.data.tables.time_columns import suggest_groups
from quintain.data.tables.time_formats import Int64
from quintain.data.tables.timestamps import Times, format_time
from quintain.errors import DataError


@dataclass(frozen=True)
class RegularSeries:
    """A series that is sorted by time and has no missing values.

    Attributes:
        values: (S, C), finite.
        times: times of the steps, (S,), encoded as in `Times`; None if the table has none.
        rows: row of the table of each step, (S,); -1 if the step was missing.
        is_dated: whether the times are dates rather than numbers.
        frequency: the most common step; None if there are no times.
        is_regular: whether all times are at multiples of the most common step.
        missing_steps: number of multiples without a row.
        is_sorted: whether the rows had to be sorted.
    """

    values: Numbers
    times: Int64 | None
    rows: Int64
    is_dated: bool = False
    frequency: Frequency | None = None
    is_regular: bool = False
    missing_steps: int = 0
    is_sorted: bool = False

    @property
    def season(self) -> int:
        """Steps of the seasonal period; 0 if there is none."""
        return self.frequency.season if self.frequency and self.is_regular else 0


def build_series(
    table: Table, channels: Channels, missing: MissingPolicy, rows: Sequence[int] | None = None
) -> RegularSeries:
    """Build one series from rows; without times, they are taken as equal steps.

    Args:
        table: table of the channels.
        channels: all channels.
        missing: policy for missing values and missing steps.
        rows: rows of the series; None: all.

    Raises:
        DataError: a time is repeated; with "error", values or steps are missing, or times are
            between the steps; with other policies, more steps are missing than there are rows.
    """
    problems, times = Problems(), channels.times
    chosen = range(len(table)) if rows is None else rows
    problems.catch(check_missing, table, channels, missing, chosen)
    ordered = problems.catch(sort_by_time, table, times, chosen)
    frequency = steps = None
    if ordered is not None and times is not None and len(ordered) > 1:
        frequency, steps = infer_frequency(Times(times.values[ordered], times.is_dated))
        problems.catch(_check_steps, table, times, ordered, frequency, steps, missing)
    problems.raise_if_any()
    assert ordered is not None  # else raise_if_any has raised
    values, rows_of_steps, step_times = _fill(channels, ordered, steps, missing)
    return RegularSeries(
        values,
        step_times,
        rows_of_steps,
        is_dated=times is not None and times.is_dated,
        frequency=frequency,
        is_regular=steps is not None,
        missing_steps=0 if steps is None else int(steps[-1]) + 1 - len(steps),
        is_sorted=bool((np.diff(ordered) < 0).any()),
    )


def describe_series(series: Sequence[RegularSeries], missing: MissingPolicy) -> list[str]:
    """Return notes on the order, the frequency and the missing steps of series."""
    notes = []
    if any(one.is_sorted for one in series):
        notes.append("rows were not in order of time; sorted")
    frequencies = [one.frequency for one in series if one.frequency]
    if not frequencies:
        return notes
    adjacent = "rows are used as adjacent steps"
    if not all(one.is_regular for one in series if one.frequency):
        text = frequencies[0].text
        return [*notes, f"most times are {text} apart, others are between these; {adjacent}"]
    notes.append(f"frequency: {frequencies[0].text} (inferred)")
    if jitter := max(frequency.jitter for frequency in frequencies):
        notes.append(f"times differ from equal steps by up to {jitter:.1g} of a step")
    if count := sum(one.missing_steps for one in series):
        action = adjacent if missing == "drop" else "filled"
        notes.append(f"missing steps: {count:,}, {action} (missing={missing})")
    return notes


def sort_by_time(table: Table, times: Times | None, rows: Sequence[int]) -> Int64:
    """Return the rows in order of time; unchanged if there are no times.

    Raises:
        DataError: two of them have the same time.
    """
    chosen = np.asarray(rows, np.int64)
    if times is None:
        return chosen
    order = chosen[np.argsort(times.values[chosen], kind="stable")]
    duplicates = np.flatnonzero(np.diff(times.values[order]) == 0)
    if len(duplicates):
        first, second = order[duplicates[0]], order[duplicates[0] + 1]
        hint = suggest_groups(table, times.values) if len(chosen) == len(table) else ""
        hint = hint or _daylight_hint(int(times.values[first]), times.is_dated)
        raise DataError(
            f"{table.path}: times that occur twice: {len(duplicates):,}, the first "
            f"{times.format(int(first))} ({table.positions([int(first), int(second)])}); expected "
            f"one row for each time: merge or remove them{hint}"
        )
    return order


def place_on_grid(values: Numbers, steps: Int64) -> Numbers:
    """Return rows (N, C) at their steps, (steps[-1] + 1, C); NaN at missing steps."""
    grid = np.full((int(steps[-1]) + 1, values.shape[1]), np.nan)
    grid[steps] = values
    return grid


def _fill(
    channels: Channels, rows: Int64, steps: Int64 | None, missing: MissingPolicy
) -> tuple[Numbers, Int64, Int64 | None]:
    """Return values without NaN, the row and the time (interpolated if missing) of each step."""
    values = channels.values[rows]
    times = None if channels.times is None else channels.times.values[rows]
    if missing == "drop":
        is_complete = ~np.isnan(values).any(1)
        return values[is_complete], rows[is_complete], None if times is None else times[is_complete]
    if times is not None and steps is not None:
        values = place_on_grid(values, steps)
        times = np.interp(np.arange(len(values)), steps, times).astype(np.int64)
        grid_rows = np.full(len(values), -1, np.int64)
        grid_rows[steps] = rows
        rows = grid_rows
    return fill_missing(values, missing, channels.names), rows, times


def _check_steps(
    table: Table,
    times: Times,
    rows: Int64,
    frequency: Frequency,
    steps: Int64 | None,
    missing: MissingPolicy,
) -> None:
    if missing == "drop":
        return
    if steps is None:
        raise DataError(
            f"{table.path}: most times are {frequency.text} apart, but some are between these "
            "steps; expected equal steps: resample, or use the rows without their times "
            "(dataset.missing=drop)"
        )
    count = int(steps[-1]) + 1 - len(steps)
    if count > (0 if missing == "error" else len(steps)):
        before = int(np.flatnonzero(np.diff(steps) > 1)[0])
        excess = "" if missing == "error" else ", more than there are rows"
        hint = "dataset.missing=drop uses the rows without their times"
        time = int(times.values[rows[before]]) + frequency.step
        raise DataError(
            f"{table.path}: steps of {frequency.text}, of which {count:,} "
            f"{'is' if count == 1 else 'are'} missing{excess}, the first after "
            f"{table.position(int(rows[before]))}; {HINT if missing == 'error' else hint}"
            f"{_daylight_hint(time, times.is_dated)}"
        )


def _daylight_hint(time: int, is_dated: bool) -> str:
    """Return a hint if clocks may have been changed then: early on a Sunday in spring or autumn."""
    moment = np.datetime64(time, "us").item() if is_dated else None
    if not isinstance(moment, datetime) or moment.weekday() != 6 or moment.hour > 3:
        return ""
    if moment.month not in (3, 4, 9, 10, 11):
        return ""
    return (
        f"; {format_time(time, True)} may be where summer time begins or ends: such local times "
        "lack an hour in spring and have one twice in autumn; write the times in UTC, or with "
        "offsets (+02:00)"
    )
