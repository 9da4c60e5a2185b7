"""Read series of 0 and 1 from tables, and list the steps of each split that are predicted.

Legend: S rows of all series, N steps to predict, K columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.tables.columns import read_labels, read_numbers
from quintain.data.tables.label_sets import find_flag_columns, read_flag_column
from quintain.data.tables.table import Table, read_table
from quintain.data.user_files.splits import SHARES, SPLITS, split_by_key
from quintain.data.user_files.usual_columns import find_column, find_given_splits
from quintain.errors import DataError

TIME_COLUMNS = ("t", "step", "time", "tick", "frame", "position", "index")
"""Usual names of columns that order the rows, in lower case; they must have numbers."""


@dataclass(frozen=True)
class BinarySettings:
    """The user's settings of a table; see `BinarySeries`."""

    group: str | None
    labels: tuple[str, ...]
    time: str | None
    delimiter: str | None


@dataclass(frozen=True)
class BinaryRows:
    """Series one after the other, and the steps to predict.

    Attributes:
        labels: names of the columns.
        values: uint8 (S, K), 0 or 1.
        targets: rows to predict, long (N,).
        starts: first row of the series of each target, long (N,).
    """

    labels: tuple[str, ...]
    values: Tensor
    targets: Tensor
    starts: Tensor


@dataclass(frozen=True)
class _Series:
    """The rows of all series in a table: `bounds` has first row and end of each."""

    labels: tuple[str, ...]
    values: Tensor
    bounds: list[tuple[int, int]]
    given: list[Split | None]
    notes: list[str]


def read_binary_splits(
    paths: Mapping[Split, str | None], settings: BinarySettings
) -> tuple[dict[Split, BinaryRows], list[str]]:
    """Return the rows of each split, and notes; a split without a path is taken from train.

    Raises:
        DataError: one message with all problems of the files.
    """
    problems = Problems()
    tables: dict[Split, _Series] = {}
    for split, path in paths.items():
        if path and (series := problems.catch(_read_series, path, settings)):
            tables[split] = series
            if not settings.labels:  # the other tables must have the columns of train
                settings = replace(settings, labels=series.labels)
    problems.raise_if_any()
    train = tables["train"]
    given: dict[Split, BinaryRows] = {
        split: _select(series, range(len(series.bounds)))
        for split, series in tables.items()
        if split != "train"
    }
    own, method = _split_series(train, [split for split in SPLITS if split not in given])
    splits = {split: given[split] if split in given else own[split] for split in SPLITS}
    if empty := [split for split in SPLITS if not len(splits[split].targets)]:
        raise DataError(f"no step to predict in {' and '.join(empty)}: a series needs two steps")
    lengths = [end - start for start, end in train.bounds]
    summary = f"{len(lengths):,} series of {min(lengths):,} to {max(lengths):,} steps"
    return splits, [*train.notes, f"{summary}; split {method}"]


def _read_series(path: str, settings: BinarySettings) -> _Series:
    """Read a table, with the rows of each series together and in order."""
    table, problems = read_table(path, delimiter=settings.delimiter), Problems()
    time = settings.time or _find_time(table, settings)
    reserved = [name for name in (settings.group, time) if name]
    groups = problems.catch(read_labels, table, settings.group) if settings.group else None
    order = problems.catch(read_numbers, table, time) if time else None
    splits = problems.catch(find_given_splits, table, [*reserved, *settings.labels])
    labels = settings.labels or find_flag_columns(table, reserved)
    if not labels:
        problems.add(f"{table.path} has no column of 0 and 1 (dataset.label=[COLUMN,COLUMN])")
    columns = [problems.catch(read_flag_column, table, name) for name in labels]
    for name, column in zip(labels, columns, strict=True):
        if column is not None and (rows := np.flatnonzero(np.isnan(column)).tolist()):
            problems.add(f"{table.path}, column {name!r}: no value in {table.positions(rows)}")
    problems.raise_if_any()
    assert splits is not None  # else it raised
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(groups or [""] * len(table)):
        rows_of[name].append(row)
    if order is not None:
        for rows in rows_of.values():
            rows.sort(key=lambda row: float(order[row]))
    values = np.stack([column for column in columns if column is not None], 1)
    ends = np.cumsum([len(rows) for rows in rows_of.values()]).tolist()
    given, split_notes = splits
    source = f"column {time!r}" if time else "the order of the file"
    shown = ", ".join(abbreviate(map(repr, labels), shown=4))
    return _Series(
        tuple(labels),
        torch.from_numpy(values[[row for rows in rows_of.values() for row in rows]]).byte(),
        list(zip([0, *ends[:-1]], ends, strict=True)),
        _splits_of_series(given, rows_of.values()) if any(given) else [None] * len(rows_of),
        [*table.notes, *split_notes, f"steps by {source}; columns {shown}"],
    )


def _find_time(table: Table, settings: BinarySettings) -> str | None:
    """Return a column of numbers with a usual name that is no label."""
    name = find_column(table, TIME_COLUMNS)
    if name is None or name in (settings.group, *settings.labels):
        return None
    try:
        return None if np.isnan(read_numbers(table, name)).any() else name
    except DataError:
        return None


def _splits_of_series(
    given: Sequence[Split | None], series: Iterable[list[int]]
) -> list[Split | None]:
    """Return the split of each series; raise DataError if its rows name several."""
    result: list[Split | None] = []
    for rows in series:
        splits = {given[row] for row in rows}
        if len(splits) > 1:
            raise DataError("the rows of one series are in several splits")
        result.append(splits.pop())
    return result


def _split_series(series: _Series, wanted: Sequence[Split]) -> tuple[dict[Split, BinaryRows], str]:
    """Return the rows of the wanted splits, and how they were found."""
    if any(series.given):
        chosen = {s: [k for k, g in enumerate(series.given) if g == s] for s in SPLITS}
        return {split: _select(series, rows) for split, rows in chosen.items()}, "as given"
    if len(wanted) == 1:
        return {"train": _select(series, range(len(series.bounds)))}, "as given"
    shares = [s if split in wanted else 0 for split, s in zip(SPLITS, SHARES, strict=True)]
    shares = [share / sum(shares) for share in shares]
    if len(series.bounds) == 1:
        borders = (np.cumsum([0, *shares]) * len(series.values)).round().astype(int).tolist()
        borders[0] = 1  # the first step has no step before it
        ranges = zip(SPLITS, pairwise(borders), strict=True)
        return {split: _slice(series, *border) for split, border in ranges}, "by time"
    keys = [series.values[start:end].numpy().tobytes() for start, end in series.bounds]
    indices = split_by_key(keys, shares=shares)
    return {s: _select(series, indices[s].tolist()) for s in SPLITS}, "by the content of series"


def _select(series: _Series, chosen: Sequence[int]) -> BinaryRows:
    """Return all steps of these series but the first of each."""
    bounds = [series.bounds[k] for k in chosen]
    targets = [torch.arange(start + 1, end) for start, end in bounds]
    starts = [torch.full((end - start - 1,), start) for start, end in bounds]
    none = [torch.empty(0, dtype=torch.long)]
    return BinaryRows(
        series.labels, series.values, torch.cat(targets or none), torch.cat(starts or none)
    )


def _slice(series: _Series, first: int, end: int) -> BinaryRows:
    """Return the steps of a range of the only series."""
    targets = torch.arange(first, end)
    return BinaryRows(series.labels, series.values, targets, torch.zeros_like(targets))
