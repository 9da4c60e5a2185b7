"""Rows of a table that belong together: one group, one label."""

from __future__ import annotations

from collections import defaultdict

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, some
from quintain.kit.tables.columns import labels
from quintain.kit.tables.table import Table


def rows_by_group(table: Table, group: str) -> dict[str, list[int]]:
    """The rows of each group, in the order of the groups' names; see `check_groups`.

    Raises:
        DataError: no such column.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(labels(table, group)):
        if name:
            rows_of[name].append(row)
    return dict(sorted(rows_of.items()))


def check_groups(table: Table, group: str) -> None:
    """Raise a DataError that names the lines of rows without a group."""
    if bare := [row for row, name in enumerate(labels(table, group)) if not name]:
        raise DataError(f"{table.path}, column {group!r}: no group in {table.where(bare)}")


def label_by_group(
    table: Table, label: str, group: str, rows_of: dict[str, list[int]]
) -> dict[str, str]:
    """The label of each group; rows without one agree with any.

    Raises:
        DataError: no such column, groups with several labels or none: they are named.
    """
    found = labels(table, label)
    names = {name: {found[row] for row in rows} - {""} for name, rows in rows_of.items()}
    problems = Problems()
    if many := [name for name, those in names.items() if len(those) > 1]:
        first = table.where(rows_of[many[0]])
        problems.add(
            f"{table.path}, column {label!r}: expected one label for all rows of a group; several "
            f"have {', '.join(some(map(repr, many)))} ({group}; the first: {first})"
        )
    if bare := [name for name, those in names.items() if not those]:
        problems.add(
            f"{table.path}, column {label!r}: no label for {', '.join(some(map(repr, bare)))}"
        )
    problems.check()
    return {name: those.pop() for name, those in names.items()}
