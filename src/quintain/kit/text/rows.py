"""Texts with labels or numbers from a user's tables, split where the splits are not given.

Legend: N rows, K targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quintain.contracts import Split
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, some
from quintain.kit.own.splits import (
    SPLITS,
    Indices,
    duplicates,
    how,
    leaks,
    said,
    shares_without,
    split_by_key,
)
from quintain.kit.tables.columns import Numbers, labels, numbers, texts
from quintain.kit.tables.table import Table, read_table
from quintain.kit.text.pairs import text_keys


@dataclass(frozen=True)
class Wanted:
    """Which columns hold what, and how the file is read; see `read_table`.

    `lower` says that case is not told apart, so that texts that differ by it share a split.
    """

    text: str
    label: str | None
    targets: Sequence[str]
    group: str | None
    header: bool = True
    delimiter: str | None = None
    lower: bool = False


@dataclass(frozen=True)
class Rows:
    """N rows: texts, labels ("" without a label column), numbers (N, K), keys to split by."""

    texts: list[str]
    labels: list[str]
    values: Numbers
    keys: list[str]

    def pick(self, at: Sequence[int] | Indices) -> Rows:
        """Some of them."""
        chosen = [int(k) for k in at]
        lists = ([column[k] for k in chosen] for column in (self.texts, self.labels, self.keys))
        some_texts, some_labels, some_keys = lists
        return Rows(some_texts, some_labels, self.values[chosen], some_keys)


def read_splits(
    paths: Mapping[Split, str | None], wanted: Wanted
) -> tuple[dict[Split, Rows], list[str]]:
    """Rows of each split, and notes; a split without a path is taken from the train file.

    Rows that lack a text, a label or a number are left out, and counted in the notes.

    Raises:
        DataError: what is wrong with all of the files, in one message.
    """
    problems, notes = Problems(), list[str]()
    tables = {
        split: problems.ask(read_table, path, delimiter=wanted.delimiter, header=wanted.header)
        for split, path in paths.items()
        if path
    }
    found: dict[Split, Rows] = {}
    for split, table in tables.items():
        if table is None or (rows := problems.ask(_read, table, wanted)) is None:
            continue
        found[split], left_out = rows
        notes += [*table.notes, *left_out]
    problems.check()
    return _split(found, wanted, notes), notes


def _read(table: Table, wanted: Wanted) -> tuple[Rows, list[str]]:
    problems = Problems()
    said_texts = problems.ask(texts, table, wanted.text)
    said_labels = problems.ask(labels, table, wanted.label) if wanted.label else [""] * len(table)
    groups = problems.ask(labels, table, wanted.group) if wanted.group else None
    columns = [problems.ask(numbers, table, name) for name in wanted.targets]
    problems.check()
    assert said_texts is not None and said_labels is not None  # else the check has raised
    groups = text_keys(said_texts, wanted.lower) if groups is None else groups
    given = [column for column in columns if column is not None]
    values = np.stack(given, 1) if given else np.empty((len(table), 0))
    lacks = {
        "text": [k for k, text in enumerate(said_texts) if not text.strip()],
        "label": [k for k, name in enumerate(said_labels) if wanted.label and not name],
        "number": np.flatnonzero(np.isnan(values).any(1)).tolist(),
        "group": [k for k, name in enumerate(groups) if wanted.group and not name],
    }
    left_out = [
        f"{table.path.name}: rows without a {what}, left out: {len(rows):,} ({table.where(rows)})"
        for what, rows in lacks.items()
        if rows
    ]
    kept = sorted(set(range(len(table))) - {row for rows in lacks.values() for row in rows})
    if not kept:
        raise DataError(f"{table.path} has no row that can be used; {'; '.join(left_out)}")
    return Rows(said_texts, said_labels, values, groups).pick(kept), left_out


def _split(found: Mapping[Split, Rows], wanted: Wanted, notes: list[str]) -> dict[Split, Rows]:
    whole = found["train"]
    if again := duplicates(text_keys(whole.texts, wanted.lower)):
        notes.append(f"texts that equal an earlier one: {again:,}; equal ones share a split")
    given: dict[Split, Rows] = {s: rows for s, rows in found.items() if s != "train"}
    at: dict[Split, Indices] = {}
    if len(given) < 2:
        by = whole.labels if wanted.label else None
        at = split_by_key(whole.keys, by, shares_without(given))
    splits = {
        split: given.get(split) or (whole.pick(at[split]) if at else whole) for split in SPLITS
    }
    way = f"by column {wanted.group!r}" if wanted.group else "by a hash of the text"
    keys = {split: text_keys(rows.texts, wanted.lower) for split, rows in splits.items()}
    notes.append(said(keys, how(given, way)))
    if given:
        notes += leaks(keys)
    _check_labels(splits)
    return splits


def _check_labels(splits: Mapping[Split, Rows]) -> None:
    known = set(splits["train"].labels)
    problems = Problems()
    for split in ("val", "test"):
        if strange := sorted(set(splits[split].labels) - known):
            problems.add(
                f"labels of {split} that train does not have: "
                f"{', '.join(some(map(repr, strange)))}; expected the same labels"
            )
    problems.check()
