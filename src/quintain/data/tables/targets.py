"""The targets of samples in a user's table: one label, several labels, or numbers in each row.

Legend: N samples, K labels or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from quintain.contracts import Split, Task
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.scaling import StandardScaler
from quintain.data.tables.columns import (
    read_labels,
    read_number_column,
    read_numbers,
    sort_class_names,
    to_column_names,
)
from quintain.data.tables.label_sets import (
    LabelSet,
    joined_labels_note,
    label_names,
    label_set_notes,
    rarest_labels,
    read_flags,
    read_label_sets,
    to_indicators,
)
from quintain.data.tables.table import Table
from quintain.data.user_files.class_counts import missing_class_notes, similar_name_notes
from quintain.errors import DataError

Columns = str | int | Sequence[str] | Sequence[int] | None
"""A setting of one or several columns; Hydra parses a column 2022 as a number."""


class Target(NamedTuple):
    """The target of a row: its labels (one if the task is classify), or its numbers.

    `lacks` says what the row lacks, so that it must be left out: "a label", "a number", or "".
    """

    labels: LabelSet = ()
    values: tuple[float, ...] = ()
    lacks: str = ""


@dataclass(frozen=True)
class TargetColumns:
    """The columns of the targets.

    Attributes:
        label: column of one label in each row, or of several (see `separator`); else None.
        separator: separator of several labels, see `label_sets.SEPARATORS`; None: one label.
        flags: columns of 0 and 1, one for each label.
        numbers: columns of numbers.
    """

    label: str | None = None
    separator: str | None = None
    flags: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @classmethod
    def from_settings(
        cls, label: Columns, separator: str | None, target: Columns, *more: str
    ) -> TargetColumns:
        """Return the columns that a user's settings name.

        Raises:
            ValueError: with all problems of the settings, and `more` problems of other settings.
        """
        labels, numbers = to_column_names(label) or [], to_column_names(target) or []
        problems = []
        if bool(labels) == bool(numbers):
            problems.append(
                "give dataset.label=COLUMN to classify, or dataset.target=COLUMN (with"
                " head=regress) for numbers; several labels a sample (with head=multilabel) are"
                " dataset.label=[COLUMN,COLUMN] of 0 and 1, or dataset.label=COLUMN"
                " dataset.separator=comma"
            )
        if separator == "":
            problems.append("separator is empty; expected a text such as ',' or space, bar, tab")
        is_list = isinstance(label, Sequence) and not isinstance(label, str)
        if separator and (is_list or numbers):
            problems.append("separator belongs to one column of labels (dataset.label=COLUMN)")
        for name, names in (("label", labels), ("target", numbers)):
            if len(set(names)) < len(names):
                problems.append(f"{name} names a column twice: {names}")
        flags = tuple(labels) if is_list else ()
        one = labels[0] if labels and not is_list else None
        if message := "; ".join([*problems, *more]):
            raise ValueError(message)
        return cls(one, separator, flags, tuple(numbers))

    @property
    def task(self) -> Task:
        """The task that these targets are for."""
        if self.numbers:
            return "regress"
        return "multilabel" if self.flags or self.separator else "classify"

    @property
    def names(self) -> list[str]:
        """All columns."""
        return [*self.numbers, *self.flags, *([self.label] if self.label else [])]

    def read(self, table: Table) -> list[Target]:
        """Return the target of each row.

        Raises:
            DataError: with the problems of all columns.
        """
        if self.numbers:
            return _read_values(table, self.numbers)
        if self.flags:
            flags = read_flags(table, self.flags)
            return [Target(lacks="a label") if s is None else Target(s) for s in flags]
        assert self.label is not None
        if self.separator:
            return [Target(s) for s in read_label_sets(table, self.label, self.separator)]
        labels = read_labels(table, self.label)
        return [Target((name,), lacks="" if name else "a label") for name in labels]

    def number_notes(self, table: Table) -> list[str]:
        """Return notes on numbers that are read from text such as `5.110,25` or `$5,110`."""
        return [note for name in self.numbers for note in read_number_column(table, name).notes]

    def strata(self, targets: Sequence[Target], keys: Sequence[str]) -> list[str] | None:
        """Return a label for each sample, to stratify splits by it; None for numbers.

        It is the rarest one of several labels. `keys` are those of `split_by_key`.
        """
        if self.task == "regress":
            return None
        if self.task == "classify":
            return [target.labels[0] for target in targets]
        return rarest_labels([target.labels for target in targets], keys)


class TargetEncoder:
    """Turns targets into y of a batch; classes and scale are those of the train split.

    Raises:
        DataError: there is one class only, or no label at all, or val or test has a class that
            train lacks.
    """

    def __init__(self, columns: TargetColumns, targets: Mapping[Split, Sequence[Target]]) -> None:
        self.task = columns.task
        self.classes: tuple[str, ...] = ()
        self.targets = columns.numbers
        self.notes: tuple[str, ...] = ()
        self._scaler: StandardScaler | None = None
        if self.task == "regress":
            self._scaler = StandardScaler.fit(_to_tensor(targets["train"]))
            self.notes = tuple(_constant_notes(self.targets, targets))
        elif self.task == "classify":
            labels = {split: [t.labels[0] for t in rows] for split, rows in targets.items()}
            self.classes = _find_classes(labels)
            names = ", ".join(abbreviate(map(repr, self.classes)))
            self.notes = (
                f"classes: {names} (inferred)",
                *similar_name_notes(self.classes),
                *missing_class_notes(labels),
                *joined_labels_note(self.classes),
            )
        else:
            sets = {split: [t.labels for t in rows] for split, rows in targets.items()}
            self.classes = columns.flags or label_names(s for rows in sets.values() for s in rows)
            if not self.classes:
                raise DataError(f"column {columns.label!r} has no label in any row")
            self.notes = tuple(label_set_notes(sets, self.classes))

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields of the `DataSpec` that describe the targets."""
        return {"task": self.task, "classes": self.classes, "targets": self.targets}

    def encode(self, targets: Sequence[Target]) -> Tensor:
        """Return y as `Batch` describes it: (N,) for classify, else (N, K)."""
        if self._scaler is not None:
            return self._scaler.transform(_to_tensor(targets))
        if self.task == "multilabel":
            return to_indicators([target.labels for target in targets], self.classes)
        indices = {name: index for index, name in enumerate(self.classes)}
        return torch.tensor([indices[target.labels[0]] for target in targets])

    def inverse_transform(self, y: Tensor) -> Tensor:
        """Return standardised numbers in their units; other targets are not changed."""
        return y if self._scaler is None else self._scaler.inverse_transform(y)


def _read_values(table: Table, names: Sequence[str]) -> list[Target]:
    problems = Problems()
    columns = [problems.catch(read_numbers, table, name) for name in names]
    problems.raise_if_any()
    rows = zip(*(column.tolist() for column in columns if column is not None), strict=True)
    return [Target((), row, "a number" if any(map(math.isnan, row)) else "") for row in rows]


def _constant_notes(names: Sequence[str], targets: Mapping[Split, Sequence[Target]]) -> list[str]:
    """Return a note for each target of which val or test has one number only."""
    return [
        f"{name!r} is {values[0]:g} in all of {split}, so R² is not defined there"
        for split, rows in targets.items()
        if split != "train"
        for name, values in zip(names, zip(*(row.values for row in rows), strict=True), strict=True)
        if len(set(values)) == 1
    ]


def _find_classes(labels: Mapping[Split, Sequence[str]]) -> tuple[str, ...]:
    classes = sort_class_names(labels["train"])
    problems = Problems()
    for split in ("val", "test"):
        if unknown := sorted(set(labels[split]) - set(classes)):
            problems.add(
                f"labels of {split} that train does not have: "
                f"{', '.join(abbreviate(map(repr, unknown)))}; expected the labels of train"
            )
    if len(classes) == 1:
        problems.add(f"expected two or more labels in train, found {classes[0]!r} only")
    problems.raise_if_any()
    return classes


def _to_tensor(targets: Sequence[Target]) -> Tensor:
    return torch.tensor([target.values for target in targets], dtype=torch.float64)
