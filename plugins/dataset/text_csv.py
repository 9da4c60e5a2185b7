"""A user's table of texts with labels, or with numbers to predict.

Legend: N texts, T tokens, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.tables.targets import Columns, TargetColumns, TargetEncoder
from quintain.data.text.text_tables import TextColumns, TextRows, read_text_splits
from quintain.data.text.tokenizers import Tokenizer, TokenizerSettings, TokenUnit, token_notes
from quintain.data.text.vocabulary import pad_tokens
from quintain.data.user_files.splits import SPLITS


class TextCsv(InMemory):
    """x int64 (T,) tokens, ragged; y the class of the label, K numbers with head=regress, or 0 or 1
    for each of several labels with head=multilabel.

    The splits (70 / 10 / 20) are stratified by label; equal texts are in the same split, or with
    `group` all texts of one group. `val_path` and `test_path` are predefined splits. The vocabulary
    is learned from train. Rows without a text, label or number are left out and counted in a note.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text may be gzipped (.gz).
        text: column of the texts.
        label: column of the labels; with head=multilabel a column of several labels in each row
            (see `separator`), or the columns of 0 and 1, one for each label.
        separator: text between two labels of a row, or its name: space, comma, semicolon, bar, tab.
        target: column or columns of numbers, with head=regress; instead of label.
        val_path, test_path: tables with the same columns.
        group: column of groups (author, document) that must not be divided between splits.
        min_per_class: classes with fewer different texts (or groups) in train are left out.
        tokens: words, characters or subwords (which need sentencepiece).
        vocabulary: maximum number of tokens including the unknown one.
        min_count: words or characters that occur less often in train are unknown.
        max_length: maximum number of tokens; longer texts are cut, and counted in a note.
        lower: convert texts to lower case.
        header: whether the first line has the column names; if not, they are 1, 2, …
        delimiter: delimiter of a CSV file; None: inferred.
        encoding: of a text file, such as cp1252; None: UTF-8, or UTF-16 with a byte-order mark.

    Raises:
        DataError: one message with all problems of the files.
        ValueError: settings are invalid.
    """

    def __init__(
        self,
        path: str,
        text: str | int,
        label: Columns = None,
        *,
        separator: str | None = None,
        target: Columns = None,
        val_path: str | None = None,
        test_path: str | None = None,
        group: str | int | None = None,
        min_per_class: int = 1,
        tokens: TokenUnit = "words",
        vocabulary: int = 20_000,
        min_count: int = 2,
        max_length: int = 256,
        lower: bool = False,
        header: bool = True,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> None:
        problems = [] if max_length > 0 else [f"max_length must be 1 or more, got {max_length}"]
        columns = TargetColumns.from_settings(label, separator, target, *problems)
        settings = TokenizerSettings(tokens, vocabulary, min_count, lower)
        text_columns = TextColumns(
            text=str(text), targets=columns, group=None if group is None else str(group),
            header=header, delimiter=delimiter, encoding=encoding, lower=lower,
            min_per_class=min_per_class,
        )  # fmt: skip
        paths: dict[Split, str | None] = {"train": path, "val": val_path, "test": test_path}
        self._rows, notes = read_text_splits(paths, text_columns)
        self._targets = TargetEncoder(columns, {k: rows.targets for k, rows in self._rows.items()})
        self._tokenizer = settings.fit(self._rows["train"].texts)
        encoded = _encode(self._rows, self._tokenizer, tokens, max_length)
        self._encoded, longest, length_notes = encoded
        super().__init__(DataSpec(
            name="text_csv", modality="text", shape=(longest,), **self._targets.spec_fields(),
            vocabulary=len(self._tokenizer), separator=self._tokenizer.separator, ragged=True,
        ))  # fmt: skip
        self.notes = (*notes, *length_notes, *self._targets.notes)

    def load(self) -> dict[Split, Batch]:
        return {split: self._make_batch(split) for split in SPLITS}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._tokenizer.decode(tokens)

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._targets.inverse_transform(y)

    def _make_batch(self, split: Split) -> Batch:
        x, lengths = pad_tokens(self._encoded[split], self.spec.shape[0], np.int32)
        return Batch(x, self._targets.encode(self._rows[split].targets), lengths)


def _encode(
    rows: dict[Split, TextRows], tokenizer: Tokenizer, unit: TokenUnit, max_length: int
) -> tuple[dict[Split, list[Sequence[int]]], int, list[str]]:
    """Return the tokens of all texts, the length of the longest text after cutting, and notes."""
    encoded = {split: [tokenizer.encode(text) for text in rows[split].texts] for split in SPLITS}
    lengths = [len(row) for split_rows in encoded.values() for row in split_rows]
    held_out = [*encoded["val"], *encoded["test"]]
    notes = token_notes("vocabulary", tokenizer, unit, rows["train"].texts, held_out)
    if empty := sum(not length for length in lengths):
        notes.append(
            f"texts without a token, which have no visible character: {empty:,} of {len(lengths):,}"
        )
    if cut := sum(length > max_length for length in lengths):
        notes.append(f"texts cut to {max_length} tokens: {cut:,}; the longest has {max(lengths):,}")
    return encoded, min(max(lengths), max_length), notes
