"""From rows of a table to one series: in order of time, on equal steps, nothing absent.

Legend: N rows, S steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems
from quintain.kit.tables.columns import Numbers
from quintain.kit.tables.gaps import FILLS, Missing, fill, spread
from quintain.kit.tables.table import Table
from quintain.kit.tables.times import Frequency, Int64, Times, lay_on_grid, show

POLICIES = ("error", *FILLS)
HINT = f"dataset.missing={'|'.join(FILLS)} says what to do"


@dataclass(frozen=True)
class Timeline:
    """One series.

    Attributes:
        values: (S, C), finite.
        times: of each step (S,); None where the table has none.
        dated: the times are no plain numbers.
        frequency: None where there are no times, or they lie at unequal steps.
        notes: what was sorted, filled and left out.
    """

    values: Numbers
    times: Int64 | None
    dated: bool
    frequency: Frequency | None
    notes: tuple[str, ...]


def lay_out(
    table: Table, names: Sequence[str], values: Numbers, times: Times | None, missing: Missing
) -> Timeline:
    """A series from all rows of a table.

    Args:
        names: of the channels.
        values: (N, C), NaN where one is absent.
        times: of the rows; None: the rows follow each other at equal steps.
        missing: what is done about absent values and steps; "error": a DataError.

    Raises:
        DataError: a time that is twice there; with "error" absent values, absent steps, or times
            between the steps; more absent steps than rows.
    """
    problems, notes = Problems(), list[str]()
    problems.ask(check_absent, table, names, values, missing)
    rows = problems.ask(in_order, table, times, range(len(values)))
    if rows is None or times is None or len(rows) < 2:
        frequency = places = None
    else:
        frequency, places = lay_on_grid(Times(times.values[rows], times.dated))
        problems.ask(_check_steps, table, rows, frequency, places, missing)
        notes += _steps_notes(frequency, places, missing)
    problems.check()
    assert rows is not None  # else the check has raised
    if (np.diff(rows) < 0).any():
        notes.append("rows were not in order of time; sorted")
    notes += absent_notes(names, values, missing)
    stamps = None if times is None else times.values[rows]
    values, stamps = _whole(values[rows], stamps, places, missing, names)
    dated = times is not None and times.dated
    steady = frequency if places is not None else None
    return Timeline(values, stamps, dated, steady, tuple(notes))


def _whole(
    values: Numbers,
    stamps: Int64 | None,
    places: Int64 | None,
    missing: Missing,
    names: Sequence[str],
) -> tuple[Numbers, Int64 | None]:
    """Values without NaN, and the time of each step; absent steps lie evenly between others."""
    if missing == "drop":
        kept = ~np.isnan(values).any(1)
        return values[kept], None if stamps is None else stamps[kept]
    if stamps is not None and places is not None:
        values = spread(values, places)
        stamps = np.interp(np.arange(len(values)), places, stamps).astype(np.int64)
    return fill(values, missing, names), stamps


def in_order(table: Table, times: Times | None, rows: Sequence[int]) -> Int64:
    """These rows in order of time; as they are where there are no times.

    Raises:
        DataError: two of them have the same time.
    """
    chosen = np.asarray(rows, np.int64)
    if times is None:
        return chosen
    order = chosen[np.argsort(times.values[chosen], kind="stable")]
    again = np.flatnonzero(np.diff(times.values[order]) == 0)
    if len(again):
        first, second = order[again[0]], order[again[0] + 1]
        raise DataError(
            f"{table.path}: times that stand there twice: {len(again):,}, the first "
            f"{times.show(int(first))} ({table.where([int(first), int(second)])}); expected one "
            "row a time: merge or remove them"
        )
    return order


def check_absent(table: Table, names: Sequence[str], values: Numbers, missing: Missing) -> None:
    """Raise a DataError that names columns and lines of absent values, if that is the policy."""
    if missing != "error":
        return
    problems = Problems()
    for name, column in zip(names, values.T, strict=True):
        absent = np.flatnonzero(np.isnan(column)).tolist()
        if absent:
            problems.add(
                f"{table.path}, column {name!r}: no value in {table.where(absent)}; {HINT}"
            )
    problems.check()


def absent_notes(names: Sequence[str], values: Numbers, missing: Missing) -> list[str]:
    """How many values are absent in which column, and what is done about it."""
    counts = {n: int(c) for n, c in zip(names, np.isnan(values).sum(0), strict=True) if c}
    if not counts:
        return []
    told = ", ".join(f"{count:,} of {name!r}" for name, count in counts.items())
    if missing == "drop":
        rows = int(np.isnan(values).any(1).sum())
        return [f"absent values ({told}): rows left out: {rows:,} (missing=drop)"]
    return [f"absent values ({told}): filled (missing={missing})"]


def _check_steps(
    table: Table, rows: Int64, frequency: Frequency, places: Int64 | None, missing: Missing
) -> None:
    if missing == "drop":
        return
    if places is None:
        raise DataError(
            f"{table.path}: the times are not {frequency.words} apart throughout, and some lie "
            "between such steps; expected equal steps: resample, or take the rows side by side "
            "(missing=drop)"
        )
    absent = int(places[-1]) + 1 - len(places)
    if absent > (0 if missing == "error" else len(places)):
        after = int(np.flatnonzero(np.diff(places) > 1)[0])
        more = "" if missing == "error" else ", more than there are rows"
        are = "is" if absent == 1 else "are"
        raise DataError(
            f"{table.path}: steps of {frequency.words}, of which {absent:,} {are} absent{more}, the"
            f" first after {table.where([int(rows[after])])}; "
            + (HINT if missing == "error" else "dataset.missing=drop takes the rows side by side")
        )


def _steps_notes(frequency: Frequency, places: Int64 | None, missing: Missing) -> list[str]:
    if places is None:
        return [f"most times are {frequency.words} apart, others lie between; rows side by side"]
    notes = [f"frequency: {frequency.words} (inferred)"]
    if absent := int(places[-1]) + 1 - len(places):
        done = "rows side by side" if missing == "drop" else "filled"
        notes.append(f"absent steps: {absent:,}, {done} (missing={missing})")
    return notes


def span(timeline: Timeline) -> str:
    """`from … to …`, for people; of a series with times."""
    assert timeline.times is not None
    first, last = (show(int(timeline.times[at]), timeline.dated) for at in (0, -1))
    return f"from {first} to {last}"
