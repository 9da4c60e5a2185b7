"""Several labels in each row of a table: names in one column, or columns of 0 and 1.

A label set is the tuple of the names that apply to a sample; it may be empty.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate, short_repr
from quintain.data.tables.columns import Numbers, read_numbers, read_texts, sort_class_names
from quintain.data.tables.table import Table
from quintain.errors import DataError

LabelSet = tuple[str, ...]

SEPARATORS = {"space": " ", "comma": ",", "semicolon": ";", "bar": "|", "tab": "\t"}
"""Names of separators that a shell or Hydra would read as something else."""
MIN_KEYS = 3  # different samples of a label that is stratified, one for each split
_TRUE, _FALSE = ("true", "yes"), ("false", "no")


def read_label_sets(table: Table, column: str, separator: str) -> list[LabelSet]:
    """Return the labels of each row, each once, without white space around them.

    A value is a list (JSON, Parquet), or names joined by the separator (see `SEPARATORS`). Brackets
    around the names, and quotes around a name within brackets, are left out.

    Raises:
        DataError: there is no such column, or it has values that are neither.
    """
    separator = SEPARATORS.get(separator, separator)
    values = table.column(column)
    if not any(isinstance(value, list) for value in values):
        return [_split(text, separator) for text in read_texts(table, column)]
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, list):
            raise DataError(
                f"{table.path}, column {column!r}: expected a list of labels; {table.position(row)}"
                f" has {short_repr(value)}"
            )
    return [_each_once(map(str, value or ())) for value in values]


def read_flags(table: Table, columns: Sequence[str]) -> list[LabelSet | None]:
    """Return for each row the columns that have 1, true or yes; None if a value is missing.

    Raises:
        DataError: with every column that does not exist or has other values than 0 and 1.
    """
    problems = Problems()
    flags = [problems.catch(read_flag_column, table, name) for name in columns]
    problems.raise_if_any()
    values = np.stack([column for column in flags if column is not None], 1)
    is_missing: list[bool] = np.any(np.isnan(values), axis=1).tolist()
    return [
        None if lacks else tuple(columns[k] for k in np.flatnonzero(row).tolist())
        for row, lacks in zip(values, is_missing, strict=True)
    ]


def read_flag_column(table: Table, name: str) -> Numbers:
    """Return a column as 0 and 1, (N,), NaN if a value is missing; raise as `read_flags`."""
    values = table.column(name)
    try:
        numbers = read_numbers(table, name)
    except DataError:
        texts = [str("" if value is None else value).strip().lower() for value in values]
        if not {*texts} <= {"", *_TRUE, *_FALSE}:
            raise
        return np.array([np.nan if not text else float(text in _TRUE) for text in texts])
    if wrong := np.flatnonzero(~np.isin(numbers, (0, 1)) & ~np.isnan(numbers)).tolist():
        raise DataError(
            f"{table.path}, column {name!r}: a column of a label has 0 and 1 (or true and false); "
            f"{table.position(wrong[0])} has {short_repr(values[wrong[0]])}"
        )
    return numbers


def find_flag_columns(table: Table, without: Collection[str]) -> list[str]:
    """Return the columns that have nothing but 0 and 1 (or true and false)."""
    names = [name for name in table.columns if name not in without]
    return [name for name in names if _is_flag_column(table, name)]


def label_names(label_sets: Iterable[LabelSet]) -> tuple[str, ...]:
    """Return all labels, each once, sorted."""
    return sort_class_names(label for labels in label_sets for label in labels)


def to_indicators(label_sets: Sequence[LabelSet], names: Sequence[str]) -> Tensor:
    """Return 1 for each label that applies, else 0: float32 (N, labels)."""
    column_of = {name: column for column, name in enumerate(names)}
    y = torch.zeros(len(label_sets), len(names))
    for row, labels in enumerate(label_sets):
        y[row, [column_of[label] for label in labels]] = 1
    return y


def rarest_labels(label_sets: Sequence[LabelSet], keys: Sequence[str]) -> list[str]:
    """Return for each sample its rarest label, to stratify splits; "" for samples without one.

    `keys` are those of `split_by_key`. A label is used only if enough samples with different keys
    remain for it, one for each split; then the next rarest label counts, and at last "".
    """
    total = Counter(label for labels in label_sets for label in labels)
    left_out: set[str] = set()
    while True:
        strata = [
            min((a for a in labels if a not in left_out), key=lambda a: (total[a], a), default="")
            for labels in label_sets
        ]
        keys_of = defaultdict(set)
        for stratum, key in zip(strata, keys, strict=True):
            keys_of[stratum].add(key)
        few = {label for label, group in keys_of.items() if label and len(group) < MIN_KEYS}
        if not few:
            is_too_small = "" in keys_of and len(keys_of[""]) < MIN_KEYS
            return [""] * len(strata) if is_too_small else strata
        left_out |= few


def label_set_notes(splits: Mapping[Split, Sequence[LabelSet]], names: Sequence[str]) -> list[str]:
    """Return notes on the labels, on samples without one, and on labels with few samples."""
    sets = [labels for label_sets in splits.values() for labels in label_sets]
    counts = {split: Counter(label for s in sets for label in s) for split, sets in splits.items()}
    mean = sum(map(len, sets)) / max(1, len(sets))
    notes = [
        f"{len(names):,} labels: {', '.join(abbreviate(map(repr, names)))}; "
        f"{mean:.2g} a sample on average, at most {max(map(len, sets), default=0)}"
    ]
    if empty := sum(not labels for labels in sets):
        notes.append(f"samples without any label: {empty:,} of {len(sets):,}")
    for split, count in counts.items():
        if absent := [repr(name) for name in names if not count[name]]:
            why = "so they cannot be learnt" if split == "train" else "so they are not scored"
            notes.append(f"labels that {split} lacks, {why}: {_join(absent)}")
    return notes


def joined_labels_note(labels: Sequence[str]) -> list[str]:
    """Return a note if single labels look like several ones that are joined by a separator."""
    names = set(labels)
    for separator in ("|", ";", ","):
        joined = [name for name in names if separator in name]
        parts = {part.strip() for name in joined for part in name.split(separator)}
        if len(joined) > 1 and (parts & names or len(parts) < len(joined)):
            word = next(word for word, text in SEPARATORS.items() if text == separator)
            return [
                f"labels such as {min(joined)!r} look like several labels of one sample; here each "
                f"combination is a class: head=multilabel dataset.separator={word} splits them"
            ]
    return []


def _split(text: str, separator: str) -> LabelSet:
    text = text.strip()
    if text[:1] + text[-1:] in ("[]", "()", "{}"):
        return _each_once(part.strip().strip("'\"") for part in text[1:-1].split(separator))
    return _each_once(text.split(separator))


def _each_once(names: Iterable[str]) -> LabelSet:
    return tuple(dict.fromkeys(name for name in map(str.strip, names) if name))


def _join(names: Sequence[str]) -> str:
    return ", ".join(abbreviate(names))


def _is_flag_column(table: Table, name: str) -> bool:
    try:
        return not np.isnan(read_flag_column(table, name)).any()
    except DataError:
        return False
