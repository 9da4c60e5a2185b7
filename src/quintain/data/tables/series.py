"""Build series from the channels of a table: one regular series, or one for each group of rows.

Legend: N rows, S steps, C channels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quintain.data.files.problems import Problems, abbreviate
from quintain.data.tables.channels import (
    HINT,
    Channels,
    MissingPolicy,
    check_missing,
    fill_missing,
    missing_notes,
)
from quintain.data.tables.columns import Numbers, read_labels
from quintain.data.tables.table import Table
from quintain.data.tables.timestamps import (
    Frequency,
    Int64,
    Times,
    format_time,
    infer_frequency,
    parse_time_as,
)
from quintain.data.user_files.splits import resolve_borders
from quintain.errors import DataError


@dataclass(frozen=True)
class RegularSeries:
    """A series that is sorted by time and has no missing values.

    Attributes:
        values: (S, C), finite.
        times: times of the steps, (S,), encoded as in `Times`; None if the table has none.
        is_dated: whether the times are dates rather than numbers.
        frequency: None if there are no times or the steps are unequal.
        notes: remarks about what was sorted, filled and left out.
    """

    values: Numbers
    times: Int64 | None
    is_dated: bool
    frequency: Frequency | None
    notes: tuple[str, ...]

    @property
    def period(self) -> str:
        """` from … to …` for messages; empty if there are no times."""
        if self.times is None:
            return ""
        first, last = (format_time(int(self.times[k]), self.is_dated) for k in (0, -1))
        return f" from {first} to {last}"

    def borders(self, borders: Sequence[float] | Sequence[str] | None) -> tuple[int, int, int]:
        """Return the first step of val, the first of test, and the end of test (exclusive).

        Args:
            borders: see `resolve_borders`; strings are times.

        Raises:
            ValueError: a border is not a time, the series has no times, or a split would be empty.
        """
        numbers = [border for border in borders or () if not isinstance(border, str)]
        if borders is None or len(numbers) == len(borders):
            return resolve_borders(len(self.values), None if borders is None else numbers)
        if self.times is None:
            raise ValueError(f"borders are times ({borders}), but the series has none")
        times = [parse_time_as(str(border), self.is_dated) for border in borders]
        return resolve_borders(len(self.values), times, self.times)


def build_series(table: Table, channels: Channels, missing: MissingPolicy) -> RegularSeries:
    """Build one series from all rows; without times, the rows are taken as equal steps.

    Raises:
        DataError: a time is repeated; with "error", values or steps are missing, or times are
            between the steps; with other policies, more steps are missing than there are rows.
    """
    problems, notes, times = Problems(), list[str](), channels.times
    problems.catch(check_missing, table, channels, missing)
    rows = problems.catch(sort_by_time, table, times, range(len(table)))
    frequency = steps = None
    if rows is not None and times is not None and len(rows) > 1:
        frequency, steps = infer_frequency(Times(times.values[rows], times.is_dated))
        problems.catch(_check_steps, table, rows, frequency, steps, missing)
        notes += _step_notes(frequency, steps, missing)
    problems.raise_if_any()
    assert rows is not None  # else raise_if_any has raised
    if (np.diff(rows) < 0).any():
        notes.append("rows were not in order of time; sorted")
    notes += missing_notes(channels, missing)
    sorted_times = None if times is None else times.values[rows]
    values, grid_times = _fill(channels, rows, sorted_times, steps, missing)
    is_dated = times is not None and times.is_dated
    known_frequency = frequency if steps is not None else None
    return RegularSeries(values, grid_times, is_dated, known_frequency, tuple(notes))


@dataclass(frozen=True)
class LabelledSeries:
    """Series (S, C) of different lengths S, their labels, and notes."""

    series: list[Numbers]
    labels: list[str]
    notes: list[str]


def build_grouped_series(
    table: Table,
    channels: Channels,
    label: str,
    group: str,
    missing: MissingPolicy,
    problems: Problems,
) -> LabelledSeries:
    """Build one series from the rows of each group, in alphabetical order of the groups.

    Args:
        table: table of the channels.
        channels: all channels.
        label: column of the labels; at least one row of a group must have one.
        group: column of the groups.
        missing: policy for missing values; missing steps are not detected.
        problems: problems of the caller, raised together with those of the groups.

    Raises:
        DataError: rows lack a group, a group has several labels or none, a time occurs twice in a
            group, or values are missing.
    """
    rows_of = _group_rows(table, group, problems)
    label_of = _group_labels(table, label, group, rows_of, problems)
    problems.catch(check_missing, table, channels, missing)
    sorted_rows = {
        name: problems.catch(sort_by_time, table, channels.times, rows)
        for name, rows in rows_of.items()
    }
    problems.raise_if_any()
    filled = {
        name: problems.catch(
            fill_missing, channels.values[rows], missing, channels.names, f"group {name!r}"
        )
        for name, rows in sorted_rows.items()
    }
    problems.raise_if_any()
    series = {name: values for name, values in filled.items() if values is not None and len(values)}
    notes = missing_notes(channels, missing)
    if empty := len(filled) - len(series):
        notes.append(f"{empty:,} groups without a complete row are left out")
    return LabelledSeries(list(series.values()), [label_of[name] for name in series], notes)


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
        raise DataError(
            f"{table.path}: times that occur twice: {len(duplicates):,}, the first "
            f"{times.format(int(first))} ({table.positions([int(first), int(second)])}); expected "
            "one row for each time: merge or remove them"
        )
    return order


def place_on_grid(values: Numbers, steps: Int64) -> Numbers:
    """Return rows (N, C) at their steps, (steps[-1] + 1, C); NaN at missing steps."""
    grid = np.full((int(steps[-1]) + 1, values.shape[1]), np.nan)
    grid[steps] = values
    return grid


def _fill(
    channels: Channels,
    rows: Int64,
    times: Int64 | None,
    steps: Int64 | None,
    missing: MissingPolicy,
) -> tuple[Numbers, Int64 | None]:
    """Return values without NaN and the time of each step, interpolated at missing steps."""
    values = channels.values[rows]
    if missing == "drop":
        is_complete = ~np.isnan(values).any(1)
        return values[is_complete], None if times is None else times[is_complete]
    if times is not None and steps is not None:
        values = place_on_grid(values, steps)
        times = np.interp(np.arange(len(values)), steps, times).astype(np.int64)
    return fill_missing(values, missing, channels.names), times


def _check_steps(
    table: Table, rows: Int64, frequency: Frequency, steps: Int64 | None, missing: MissingPolicy
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
        raise DataError(
            f"{table.path}: steps of {frequency.text}, of which {count:,} "
            f"{'is' if count == 1 else 'are'} missing{excess}, the first after "
            f"{table.position(int(rows[before]))}; {HINT if missing == 'error' else hint}"
        )


def _step_notes(frequency: Frequency, steps: Int64 | None, missing: MissingPolicy) -> list[str]:
    adjacent = "rows are used as adjacent steps"
    if steps is None:
        return [f"most times are {frequency.text} apart, others are between these; {adjacent}"]
    notes = [f"frequency: {frequency.text} (inferred)"]
    if count := int(steps[-1]) + 1 - len(steps):
        action = adjacent if missing == "drop" else "filled"
        notes.append(f"missing steps: {count:,}, {action} (missing={missing})")
    return notes


def _group_rows(table: Table, group: str, problems: Problems) -> dict[str, list[int]]:
    names = problems.catch(read_labels, table, group) or []
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        rows_of[name].append(row)
    if ungrouped := rows_of.pop("", None):
        problems.add(f"{table.path}, column {group!r}: no group in {table.positions(ungrouped)}")
    return dict(sorted(rows_of.items()))


def _group_labels(
    table: Table, label: str, group: str, rows_of: Mapping[str, Sequence[int]], problems: Problems
) -> dict[str, str]:
    """Return the label of each group; add a problem for groups with several labels or none."""
    labels = problems.catch(read_labels, table, label)
    if labels is None:
        return {}
    labels_of = {name: {labels[row] for row in rows} - {""} for name, rows in rows_of.items()}
    if several := [name for name, values in labels_of.items() if len(values) > 1]:
        problems.add(
            f"{table.path}, column {label!r}: expected one label for all rows of a group; several "
            f"have {', '.join(abbreviate(map(repr, several)))} "
            f"({group}; the first: {table.positions(rows_of[several[0]])})"
        )
    if unlabelled := [name for name, values in labels_of.items() if not values]:
        problems.add(
            f"{table.path}, column {label!r}: no label for "
            f"{', '.join(abbreviate(map(repr, unlabelled)))}"
        )
    return {name: min(values) for name, values in labels_of.items() if values}
