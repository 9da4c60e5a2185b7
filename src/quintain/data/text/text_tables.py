"""Read the rows of a user's tables of texts with their targets, and split them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quintain.contracts import Split
from quintain.data.files.problems import Problems
from quintain.data.tables.columns import read_labels, read_texts
from quintain.data.tables.outside import refuse_numbers_as_texts
from quintain.data.tables.table import Table, read_table
from quintain.data.tables.targets import Target, TargetColumns
from quintain.data.text.unicode_form import describe_composed
from quintain.data.user_files.class_counts import find_small_classes
from quintain.data.user_files.splits import (
    Indices,
    apply_given_splits,
    complete_splits,
    count_duplicates,
    normalize_texts,
)
from quintain.data.user_files.usual_columns import find_given_splits
from quintain.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TextColumns:
    """The user's settings of columns and file format; see `TextCsv`."""

    text: str
    targets: TargetColumns
    group: str | None
    header: bool
    delimiter: str | None
    encoding: str | None
    lower: bool
    min_per_class: int


@dataclass(frozen=True)
class TextRows:
    """Texts, their targets, the keys of the split, and the given split (None: not given)."""

    texts: list[str]
    targets: list[Target]
    keys: list[str]
    given: list[Split | None]

    def select(self, rows: Sequence[int] | Indices) -> TextRows:
        indices = [int(k) for k in rows]
        return TextRows(
            [self.texts[k] for k in indices],
            [self.targets[k] for k in indices],
            [self.keys[k] for k in indices],
            [self.given[k] for k in indices],
        )


def read_text_splits(
    paths: Mapping[Split, str | None], columns: TextColumns
) -> tuple[dict[Split, TextRows], list[str]]:
    """Return the rows of each split, and notes.

    A split without a path is that of a column of splits, or else taken from train.

    Raises:
        DataError: one message with all problems of the files.
    """
    problems, notes = Problems(), list[str]()
    tables: dict[Split, TextRows] = {}
    for split, path in paths.items():
        if path and (result := problems.catch(_read_rows, path, columns)):
            tables[split] = result[0]
            notes += result[1]
    problems.raise_if_any()
    if len(tables) == 1:
        tables = apply_given_splits(tables["train"])

    def normalize(rows: TextRows) -> list[str]:
        return normalize_texts(rows.texts, columns.lower)

    if columns.targets.task == "classify":
        tables, small_notes = _leave_out_small(tables, columns.min_per_class)
        notes += small_notes
    train = tables["train"]
    if duplicates := count_duplicates(normalize(train)):
        notes.append(f"duplicate texts: {duplicates:,}; equal texts are in the same split")
    method = f"by column {columns.group!r}" if columns.group else "by a hash of the text"
    strata = columns.targets.strata(train.targets, train.keys)
    splits, split_notes = complete_splits(tables, train.keys, strata, normalize, method)
    return splits, [*notes, *split_notes]


def _leave_out_small(
    tables: Mapping[Split, TextRows], min_per_class: int
) -> tuple[dict[Split, TextRows], list[str]]:
    """Return the rows of classes that have enough different texts (or groups) in train."""
    problems, train = Problems(), tables["train"]
    labels = {
        split: [target.labels[0] for target in rows.targets] for split, rows in tables.items()
    }
    small, notes = find_small_classes(labels["train"], train.keys, min_per_class, problems)
    problems.raise_if_any()
    kept = {
        split: rows.select([k for k, name in enumerate(labels[split]) if name not in small])
        for split, rows in tables.items()
    }
    if empty := [split for split, rows in kept.items() if not rows.texts]:
        problems.add(f"min_per_class={min_per_class} leaves no text of {' and '.join(empty)}")
    problems.raise_if_any()
    return kept, notes


def _read_rows(path: str, columns: TextColumns) -> tuple[TextRows, list[str]]:
    """Return the complete rows of a table, and notes on the others."""
    table = read_table(
        path, delimiter=columns.delimiter, header=columns.header, encoding=columns.encoding
    )
    problems = Problems()
    texts = problems.catch(read_texts, table, columns.text)
    if texts is not None:
        problems.catch(refuse_numbers_as_texts, table, columns.text)
    targets = problems.catch(columns.targets.read, table)
    groups = problems.catch(read_labels, table, columns.group) if columns.group else None
    splits = problems.catch(find_given_splits, table, [columns.text, *columns.targets.names])
    problems.raise_if_any()
    assert texts is not None and targets is not None and splits is not None  # else it raised
    rows_without = {
        "text": [k for k, text in enumerate(texts) if not text.strip()],
        "label": [k for k, target in enumerate(targets) if target.lacks == "a label"],
        "number": [k for k, target in enumerate(targets) if target.lacks == "a number"],
        "group": [k for k, name in enumerate(groups or ()) if not name],
    }
    notes = columns.targets.number_notes(table) + _incomplete_notes(table, rows_without)
    complete = sorted(set(range(len(table))).difference(*rows_without.values()))
    if not complete:
        raise DataError(f"{table.path} has no complete row; {'; '.join(notes)}")
    for name in filter(None, (columns.text, columns.targets.label)):
        notes += describe_composed(f"{table.path.name}, column {name!r}: texts", table.column(name))
    keys = normalize_texts(texts, columns.lower) if groups is None else groups
    given, split_notes = splits
    rows = TextRows(texts, targets, keys, given).select(complete)
    return rows, [*table.notes, *notes, *split_notes]


def _incomplete_notes(table: Table, rows_without: Mapping[str, list[int]]) -> list[str]:
    return [
        f"{table.path.name}: rows without a {item}, left out: {len(rows):,} "
        f"({table.positions(rows)})"
        for item, rows in rows_without.items()
        if rows
    ]
