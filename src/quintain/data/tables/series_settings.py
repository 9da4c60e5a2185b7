"""The settings of a user's table of series, and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quintain.contracts import Split
from quintain.data.tables.columns import to_column_names
from quintain.data.tables.missing_values import POLICIES
from quintain.data.tables.number_formats import DECIMALS
from quintain.data.tables.outside import TABULAR
from quintain.data.tables.panel import Borders
from quintain.data.tables.table import Table
from quintain.data.user_files.usual_columns import SPLIT_COLUMNS, find_column, read_split_column
from quintain.errors import DataError

HORIZON = 12  # steps, if none is set
_GROUP_NEEDED = (
    f"label needs group: all rows of one group are one series, with one label; {TABULAR}"
)


@dataclass(frozen=True)
class SeriesColumns:
    """Names of columns; `label` and `subject` are "" if not set, `split` is None if inferred."""

    targets: list[str]
    groups: list[str]
    label: str
    subject: str
    split: str | None

    @classmethod
    def from_settings(
        cls,
        target: str | int | Sequence[str] | Sequence[int] | None,
        label: str | int | None,
        group: str | int | Sequence[str] | Sequence[int] | None,
        subject: str | int | None,
        split: str | int | bool | None,
    ) -> SeriesColumns:
        """Return the columns of settings; Hydra parses a column 2022 as a number."""
        splits = None if split is None else to_column_choice(split) or ""
        targets, groups = (to_column_names(columns) or [] for columns in (target, group))
        return cls(targets, groups, str(label or ""), str(subject or ""), splits)

    @property
    def keys(self) -> list[str]:
        """Columns that are no channels."""
        return [*self.groups, *filter(None, (self.label, self.subject))]


@dataclass(frozen=True)
class SeriesLengths:
    """Settings of lengths and borders; None is inferred."""

    horizon: int | None
    look_back: int | None
    season: int | None
    borders: Borders | None


def check_series_settings(
    names: SeriesColumns,
    lengths: SeriesLengths,
    paths: Mapping[Split, str | None],
    missing: str,
    decimal: str | None,
) -> None:
    """Raise ValueError with all settings that are invalid, or without a meaning for the task."""
    problems = []
    if bool(names.targets) == bool(names.label):
        problems.append(
            "give dataset.target=COLUMN to forecast, or dataset.label=COLUMN and"
            " dataset.group=COLUMN to classify"
        )
    elif names.label and not names.groups:
        problems.append(_GROUP_NEEDED)
    meaningless = {
        "horizon": names.label and lengths.horizon is not None,
        "season": names.label and lengths.season is not None,
        "borders": names.label and lengths.borders is not None,
        "subject": names.targets and names.subject,
        "val_path": names.targets and paths["val"],
        "test_path": names.targets and paths["test"],
    }
    task = "to classify whole series" if names.label else "to forecast"
    problems += [f"{n} has no meaning {task}: leave it out" for n, is_set in meaningless.items()
                 if is_set]  # fmt: skip
    if names.targets and names.split and lengths.borders is not None:
        problems.append("split and borders both say where the splits are: leave one out")
    if len(set(names.targets)) < len(names.targets):
        problems.append(f"target names a column twice: {names.targets}")
    for name, value in (("horizon", lengths.horizon), ("look_back", lengths.look_back)):
        if value is not None and value < 1:
            problems.append(f"{name} must be 1 or more, got {value}")
    if missing not in POLICIES:
        problems.append(f"missing must be one of {', '.join(POLICIES)}; got {missing!r}")
    if decimal not in (None, *DECIMALS):
        problems.append(f"decimal must be point or comma, got {decimal!r}")
    if problems:
        raise ValueError("; ".join(problems))


def find_split_column(table: Table, names: SeriesColumns) -> str:
    """Return the column of predefined splits; "" if there is none.

    Raises:
        DataError: the user's column does not exist.
    """
    if names.split is not None:
        if names.split:
            table.column(names.split)
        return names.split
    column = find_column(table, SPLIT_COLUMNS)
    if column is None or column in (*names.targets, *names.groups, names.label, names.subject):
        return ""
    try:
        return column if set(read_split_column(table, column)) else ""
    except DataError:
        return ""


def to_column_choice(value: str | int | bool | None) -> str | Literal[False] | None:
    """Return the name of a column, None if it is to be inferred, False if there is none."""
    if value is None or value is False or str(value).lower() == "false":
        return None if value is None else False
    return str(value)
