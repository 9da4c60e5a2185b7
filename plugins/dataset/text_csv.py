"""A user's table of texts with labels, or with numbers to predict.

Legend: N texts, T tokens, K targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.scaling import StandardScaler
from quintain.data.tables.columns import (
    Numbers,
    read_labels,
    read_numbers,
    read_texts,
    sort_class_names,
    to_column_names,
)
from quintain.data.tables.table import Table, read_table
from quintain.data.text.tokenizers import Tokenizer, TokenizerSettings, TokenUnit, token_note
from quintain.data.text.vocabulary import pad_tokens
from quintain.data.user_files.splits import (
    SPLITS,
    Indices,
    complete_splits,
    count_duplicates,
    normalize_texts,
)
from quintain.errors import DataError


class TextCsv(InMemory):
    """x int64 (T,) tokens, ragged; y the class of the label, or K numbers with head=regress.

    The splits (70 / 10 / 20) are stratified by label; equal texts are in the same split, or with
    `group` all texts of one group. `val_path` and `test_path` are predefined splits. The vocabulary
    is learned from train. Rows without a text, label or number are left out and counted in a note.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text may be gzipped (.gz).
        text: column of the texts.
        label: column of the labels.
        target: column or columns of numbers, with head=regress; instead of label.
        val_path, test_path: tables with the same columns.
        group: column of groups (author, document) that must not be divided between splits.
        tokens: words, characters or subwords (which need sentencepiece).
        vocabulary: maximum number of tokens including the unknown one.
        min_count: words or characters that occur less often in train are unknown.
        max_length: maximum number of tokens; longer texts are cut, and counted in a note.
        lower: convert texts to lower case.
        header: whether the first line has the column names; if not, they are 1, 2, …
        delimiter: delimiter of a CSV file; None: inferred.

    Raises:
        DataError: one message with all problems of the files.
        ValueError: settings are invalid.
    """

    def __init__(
        self,
        path: str,
        text: str | int,
        label: str | int | None = None,
        *,
        target: str | int | list[str] | list[int] | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        group: str | int | None = None,
        tokens: TokenUnit = "words",
        vocabulary: int = 20_000,
        min_count: int = 2,
        max_length: int = 256,
        lower: bool = False,
        header: bool = True,
        delimiter: str | None = None,
    ) -> None:
        targets = to_column_names(target) or []
        settings = TokenizerSettings(tokens, vocabulary, min_count, lower)
        _check_settings(targets, label, max_length)
        columns = _Columns(
            str(text), _to_str(label), targets, _to_str(group), header, delimiter, lower
        )
        paths: dict[Split, str | None] = {"train": path, "val": val_path, "test": test_path}
        self._rows, notes = _read_splits(paths, columns)
        train = self._rows["train"]
        self._tokenizer = settings.fit(train.texts)
        self._encoded, longest, token_notes = _encode(
            self._rows, self._tokenizer, tokens, max_length
        )
        super().__init__(_make_spec(self._tokenizer, longest, targets, train))
        self._scaler = StandardScaler.fit(torch.from_numpy(train.values)) if targets else None
        self.notes = (*notes, *token_notes)
        if self.spec.classes:
            classes = ", ".join(abbreviate(map(repr, self.spec.classes)))
            self.notes += (f"classes: {classes} (inferred)",)

    def load(self) -> dict[Split, Batch]:
        return {split: self._make_batch(split) for split in SPLITS}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._tokenizer.decode(tokens)

    def inverse_transform(self, y: Tensor) -> Tensor:
        return y if self._scaler is None else self._scaler.inverse_transform(y)

    def _make_batch(self, split: Split) -> Batch:
        rows = self._rows[split]
        x, lengths = pad_tokens(self._encoded[split], self.spec.shape[0], np.int32)
        if self._scaler is not None:
            return Batch(x, self._scaler.transform(torch.from_numpy(rows.values)), lengths)
        indices = {name: index for index, name in enumerate(self.spec.classes)}
        return Batch(x, torch.tensor([indices[name] for name in rows.labels]), lengths)


@dataclass(frozen=True)
class _Columns:
    """The user's settings of columns and file format."""

    text: str
    label: str | None
    targets: Sequence[str]
    group: str | None
    header: bool
    delimiter: str | None
    lower: bool


@dataclass(frozen=True)
class _Rows:
    """Texts, labels ("" if there is no label column), numbers (N, K), and keys of the split."""

    texts: list[str]
    labels: list[str]
    values: Numbers
    keys: list[str]

    def select(self, rows: Sequence[int] | Indices) -> _Rows:
        indices = [int(k) for k in rows]
        texts, labels, keys = (
            [column[k] for k in indices] for column in (self.texts, self.labels, self.keys)
        )
        return _Rows(texts, labels, self.values[indices], keys)


def _to_str(column: str | int | None) -> str | None:
    """Return a column name as a string; Hydra parses a column 1 as a number."""
    return None if column is None else str(column)


def _check_settings(targets: list[str], label: str | int | None, max_length: int) -> None:
    problems = []
    if bool(targets) == (label is not None):
        problems.append(
            "give dataset.label=COLUMN to classify, or dataset.target=COLUMN (with head=regress)"
            " for numbers"
        )
    if max_length < 1:
        problems.append(f"max_length must be 1 or more, got {max_length}")
    if problems:
        raise ValueError("; ".join(problems))


def _read_splits(
    paths: Mapping[Split, str | None], columns: _Columns
) -> tuple[dict[Split, _Rows], list[str]]:
    """Read the rows of each split, and notes; a split without a path is taken from train."""
    problems, notes = Problems(), list[str]()
    tables: dict[Split, _Rows] = {}
    for split, path in paths.items():
        if path and (result := problems.catch(_read_rows, path, columns)):
            tables[split] = result[0]
            notes += result[1]
    problems.raise_if_any()

    def normalize(rows: _Rows) -> list[str]:
        return normalize_texts(rows.texts, columns.lower)

    train = tables["train"]
    if duplicates := count_duplicates(normalize(train)):
        notes.append(f"duplicate texts: {duplicates:,}; equal texts are in the same split")
    method = f"by column {columns.group!r}" if columns.group else "by a hash of the text"
    labels = train.labels if columns.label else None
    splits, split_notes = complete_splits(tables, train.keys, labels, normalize, method)
    for split in ("val", "test"):
        if unknown := sorted(set(splits[split].labels) - set(splits["train"].labels)):
            problems.add(
                f"labels of {split} that train does not have: "
                f"{', '.join(abbreviate(map(repr, unknown)))}; expected the labels of train"
            )
    problems.raise_if_any()
    return splits, [*notes, *split_notes]


def _read_rows(path: str, columns: _Columns) -> tuple[_Rows, list[str]]:
    """Return the complete rows of a table, and notes on the others."""
    table = read_table(path, delimiter=columns.delimiter, header=columns.header)
    problems = Problems()
    empty = [""] * len(table)
    texts = problems.catch(read_texts, table, columns.text)
    labels = problems.catch(read_labels, table, columns.label) if columns.label else empty
    groups = problems.catch(read_labels, table, columns.group) if columns.group else None
    targets = [problems.catch(read_numbers, table, name) for name in columns.targets]
    problems.raise_if_any()
    assert texts is not None and labels is not None  # else raise_if_any has raised
    numbers = [column for column in targets if column is not None]
    values = np.stack(numbers, 1) if numbers else np.empty((len(table), 0))
    rows_without = {
        "text": [k for k, text in enumerate(texts) if not text.strip()],
        "label": [k for k, name in enumerate(labels) if columns.label and not name],
        "number": np.flatnonzero(np.isnan(values).any(1)).tolist(),
        "group": [k for k, name in enumerate(groups or ()) if not name],
    }
    notes = _incomplete_notes(table, rows_without)
    complete = sorted(set(range(len(table))).difference(*rows_without.values()))
    if not complete:
        raise DataError(f"{table.path} has no complete row; {'; '.join(notes)}")
    keys = normalize_texts(texts, columns.lower) if groups is None else groups
    return _Rows(texts, labels, values, keys).select(complete), [*table.notes, *notes]


def _incomplete_notes(table: Table, rows_without: Mapping[str, list[int]]) -> list[str]:
    return [
        f"{table.path.name}: rows without a {item}, left out: {len(rows):,} "
        f"({table.positions(rows)})"
        for item, rows in rows_without.items()
        if rows
    ]


def _encode(
    rows: dict[Split, _Rows], tokenizer: Tokenizer, unit: TokenUnit, max_length: int
) -> tuple[dict[Split, list[Sequence[int]]], int, list[str]]:
    """Return the tokens of all texts, the length of the longest text after cutting, and notes."""
    encoded = {split: [tokenizer.encode(text) for text in rows[split].texts] for split in SPLITS}
    lengths = [len(row) for split_rows in encoded.values() for row in split_rows]
    notes = [token_note("vocabulary", tokenizer, unit, [*encoded["val"], *encoded["test"]])]
    if cut := sum(length > max_length for length in lengths):
        notes.append(f"texts cut to {max_length} tokens: {cut:,}; the longest has {max(lengths):,}")
    return encoded, min(max(lengths), max_length), notes


def _make_spec(tokenizer: Tokenizer, longest: int, targets: list[str], train: _Rows) -> DataSpec:
    classes = () if targets else sort_class_names(train.labels)
    if len(classes) == 1:
        raise DataError(f"expected two or more labels in train, found {classes[0]!r} only")
    return DataSpec(
        name="text_csv",
        modality="text",
        task="regress" if targets else "classify",
        shape=(longest,),
        classes=classes,
        targets=tuple(targets),
        vocabulary=len(tokenizer),
        separator=tokenizer.separator,
        ragged=True,
    )
