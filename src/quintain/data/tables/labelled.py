"""Build the series of a table that are to be classified: one from the rows of each group.

Legend: N rows, S steps, C channels.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.tables.channels import Channels
from quintain.data.tables.columns import Numbers, read_labels
from quintain.data.tables.missing_values import (
    MissingPolicy,
    check_missing,
    fill_missing,
    missing_notes,
)
from quintain.data.tables.series import sort_by_time
from quintain.data.tables.table import Table
from quintain.data.tables.time_formats import Int64
from quintain.data.user_files.splits import (
    SHARES,
    SPLIT_NAMES,
    SPLITS,
    assign_splits,
    leak_notes,
)
from quintain.errors import DataError


@dataclass(frozen=True)
class GroupColumns:
    """The columns of the groups, and columns that are constant within a group ("" if none).

    Attributes:
        groups: identify the series of each row.
        label: the class.
        subject: what must not be divided between splits.
        split: the predefined split.
    """

    groups: Sequence[str]
    label: str
    subject: str = ""
    split: str = ""


@dataclass(frozen=True)
class LabelledSeries:
    """Series of different lengths.

    Attributes:
        series: (S, C) each.
        labels: of the series.
        keys: series with the same key must be in the same split: the subject, else the name of the
            group, or of the first group with equal rows.
        splits: predefined splits; "" where there is none.
        notes: remarks about what was filled and left out.
    """

    series: list[Numbers]
    labels: list[str]
    keys: list[str]
    splits: list[str]
    notes: list[str]


def build_labelled_series(
    table: Table,
    channels: Channels,
    columns: GroupColumns,
    rows_of: Mapping[str, Sequence[int]],
    missing: MissingPolicy,
    problems: Problems,
) -> LabelledSeries:
    """Build one series from the rows of each group.

    Args:
        table: table of the channels.
        channels: all channels.
        columns: at least one row of a group must have each of them.
        rows_of: rows of each group; see `group_rows`.
        missing: policy for missing values; missing steps are not detected.
        problems: problems of the caller, raised together with those of the groups.

    Raises:
        DataError: a group has several labels or none, a time occurs twice in a group, or values are
            missing.
    """
    nouns = {columns.label: "label", columns.subject: "subject", columns.split: "split"}
    constants = {
        name: _read_constants(table, name, noun, rows_of, problems)
        for name, noun in nouns.items()
        if name
    }
    problems.catch(check_missing, table, channels, missing, range(len(table)))
    ordered: dict[str, Int64] = {}
    for name, rows in rows_of.items():
        if (order := problems.catch(sort_by_time, table, channels.times, rows)) is not None:
            ordered[name] = order
    problems.raise_if_any()
    filled = {
        name: problems.catch(
            fill_missing, channels.values[rows], missing, channels.names, f"group {name!r}"
        )
        for name, rows in ordered.items()
    }
    problems.raise_if_any()
    series = {name: values for name, values in filled.items() if values is not None and len(values)}
    notes = missing_notes(channels, missing, range(len(table)))
    if empty := len(filled) - len(series):
        notes.append(f"{empty:,} groups without a complete row are left out")
    keys, key_notes = _find_keys(table, {*columns.groups, channels.time or ""}, ordered)
    keys, splits = constants.get(columns.subject, keys), constants.get(columns.split, {})
    return LabelledSeries(
        list(series.values()),
        [constants[columns.label][name] for name in series],
        [keys[name] for name in series],
        [splits.get(name, "") for name in series],
        [*notes, *key_notes],
    )


def group_rows(table: Table, columns: Sequence[str], problems: Problems) -> dict[str, list[int]]:
    """Return the rows of each group, sorted by name; rows of a group agree in all columns.

    Rows without a group are a problem.
    """
    names = [problems.catch(read_labels, table, column) for column in columns]
    rows_of: dict[str, list[int]] = defaultdict(list)
    ungrouped = []
    for row, parts in enumerate(zip(*(values or () for values in names), strict=False)):
        if all(parts):
            rows_of[" / ".join(parts)].append(row)
        else:
            ungrouped.append(row)
    if ungrouped:
        which = ", ".join(map(repr, columns))
        problems.add(f"{table.path}, column {which}: no group in {table.positions(ungrouped)}")
    return dict(sorted(rows_of.items()))


def number_groups(rows_of: Mapping[str, Sequence[int]], count: int) -> Int64:
    """Return the number of the group of each row, (N,); -1 if it has none."""
    numbers = np.full(count, -1, np.int64)
    for number, rows in enumerate(rows_of.values()):
        numbers[rows] = number
    return numbers


def split_series(
    series: LabelledSeries, has_subjects: bool, problems: Problems
) -> tuple[dict[Split, list[int]], list[str]]:
    """Return the series of each split, and notes; predefined splits are kept.

    Raises:
        DataError: the series cannot be split, or predefined splits divide a subject.
    """
    unknown = sorted(set(series.splits) - {"", *SPLIT_NAMES})
    if unknown:
        problems.add(
            "expected train, val or test as splits; got "
            f"{', '.join(abbreviate(map(repr, unknown)))}"
        )
    given = [SPLIT_NAMES.get(split) for split in series.splits]
    method = "by subject" if has_subjects else "by a hash of the group, stratified by label"
    result = problems.catch(
        assign_splits,
        range(len(series.series)), given, series.keys, series.labels, SHARES, method, problems,
    )  # fmt: skip
    problems.raise_if_any()
    assert result is not None  # else raise_if_any has raised
    splits, note = result
    keys = {split: [series.keys[k] for k in splits[split]] for split in SPLITS}
    if has_subjects:
        _check_subjects(keys)
    return splits, [note, *leak_notes(keys)]


def _check_subjects(keys: Mapping[Split, Iterable[str]]) -> None:
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for split, subjects in keys.items():
        for subject in subjects:
            splits_of[subject].add(split)
    divided = [
        f"{subject!r} ({' and '.join(sorted(splits))})"
        for subject, splits in splits_of.items()
        if len(splits) > 1
    ]
    if divided:
        raise DataError(
            f"predefined splits divide subjects: {', '.join(abbreviate(divided, shown=3))}; "
            "expected each subject in one split: change the splits, or leave out dataset.subject"
        )


def _find_keys(
    table: Table, without: Collection[str], rows_of: Mapping[str, Iterable[int]]
) -> tuple[dict[str, str], list[str]]:
    """Return the first group with the same rows, for each group, and a note on equal ones.

    All columns but those in `without` count, so that the choice of channels changes no split.
    """
    columns = [values for name, values in table.columns.items() if name not in without]
    first: dict[bytes, str] = {}
    keys = {}
    for name, rows in rows_of.items():
        lines = "\n".join(repr([values[row] for values in columns]) for row in rows)
        content = hashlib.blake2b(lines.encode(), digest_size=16).digest()
        keys[name] = first.setdefault(content, name)
    count = sum(key != name for name, key in keys.items())
    note = f"{count:,} duplicate series; equal series are in the same split"
    return keys, [note] if count else []


def _read_constants(
    table: Table, column: str, noun: str, rows_of: Mapping[str, Sequence[int]], problems: Problems
) -> dict[str, str]:
    """Return the value of each group; add a problem for groups with several values or none."""
    values = problems.catch(read_labels, table, column)
    if values is None:
        return {}
    found = {name: {values[row] for row in rows} - {""} for name, rows in rows_of.items()}
    if several := [name for name, different in found.items() if len(different) > 1]:
        problems.add(
            f"{table.path}, column {column!r}: expected one {noun} for all rows of a group; "
            f"several have {', '.join(abbreviate(map(repr, several)))} "
            f"(the first: {table.positions(rows_of[several[0]])})"
        )
    if without := [name for name, different in found.items() if not different]:
        problems.add(
            f"{table.path}, column {column!r}: no {noun} for "
            f"{', '.join(abbreviate(map(repr, without)))}"
        )
    return {name: min(different) for name, different in found.items() if different}
