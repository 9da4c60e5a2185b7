"""A user's pairs of texts: the target is generated from the source, as in translation.

Legend: N pairs, T tokens of a source, U tokens of a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.files.problems import Problems
from quintain.data.tables.columns import read_texts
from quintain.data.tables.table import read_lines, read_table
from quintain.data.text.tokenizers import Tokenizer, TokenizerSettings, TokenUnit, token_note
from quintain.data.text.vocabulary import pad_tokens
from quintain.data.user_files.splits import (
    Indices,
    complete_splits,
    count_duplicates,
    normalize_texts,
)
from quintain.errors import DataError

_Encoded = dict[Side, list[Sequence[int]]]  # tokens of sources ("x") and targets ("y")
_Paths = dict[Split, tuple[str | None, str | None]]  # files of sources and of targets


class ParallelText(InMemory):
    """x int64 (T,) tokens of the source, y int64 (U,) tokens of the target, both ragged.

    The pairs are in two files with one text on each line (`path` and `target_path`), or in one
    table with two columns (`source` and `target`). The splits (70 / 10 / 20) are by a hash of the
    source; equal sources are in the same split. `val_path`, `test_path` and their `…_target_path`
    are predefined splits. Sources and targets have separate vocabularies, learned from train; token
    0 is unknown, and is a correct prediction of an unknown target. Pairs with a text longer than
    `max_length` are left out of all splits and counted in a note.

    Args:
        path: sources, or a table (CSV, TSV, JSON lines or Parquet); text may be gzipped (.gz).
        target_path: targets.
        source, target: columns of the table.
        val_path, val_target_path, test_path, test_target_path: files of predefined splits.
        tokens: words, characters or subwords (which need sentencepiece).
        vocabulary: maximum number of tokens of each vocabulary including the unknown one.
        min_count: words or characters that occur less often in train are unknown.
        max_length: maximum number of tokens of a text.
        lower: convert texts to lower case.
        delimiter: delimiter of a CSV file; None: inferred.

    Raises:
        DataError: one message with all problems of the files.
        ValueError: settings are invalid.
    """

    def __init__(
        self,
        path: str,
        target_path: str | None = None,
        *,
        source: str | None = None,
        target: str | None = None,
        val_path: str | None = None,
        val_target_path: str | None = None,
        test_path: str | None = None,
        test_target_path: str | None = None,
        tokens: TokenUnit = "words",
        vocabulary: int = 20_000,
        min_count: int = 2,
        max_length: int = 128,
        lower: bool = False,
        delimiter: str | None = None,
    ) -> None:
        settings = TokenizerSettings(tokens, vocabulary, min_count, lower)
        files: _Paths = {
            "train": (path, target_path),
            "val": (val_path, val_target_path),
            "test": (test_path, test_target_path),
        }
        _check_settings(files, source, target, max_length)
        pairs, notes = _read_splits(files, source, target, delimiter, lower)
        train = pairs["train"]
        self._tokenizers: dict[Side, Tokenizer] = {
            "x": settings.fit(train.sources),
            "y": settings.fit(train.targets),
        }
        self._encoded, length_notes = _encode(pairs, self._tokenizers, max_length)
        super().__init__(_make_spec(self._tokenizers, self._encoded))
        token_notes = _token_notes(self._tokenizers, self._encoded, tokens)
        self.notes = (*notes, *length_notes, *token_notes)

    def load(self) -> dict[Split, Batch]:
        loaded: dict[Split, Batch] = {}
        for split, sides in self._encoded.items():
            x, lengths = pad_tokens(sides["x"], self.spec.shape[0], np.int32)
            y, y_lengths = pad_tokens(sides["y"], self.spec.target_length, np.int32)
            loaded[split] = Batch(x, y, lengths, y_lengths)
        return loaded

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._tokenizers[side].decode(tokens)


@dataclass(frozen=True)
class _Pairs:
    """Sources, their targets, and notes on the files."""

    sources: list[str]
    targets: list[str]
    notes: tuple[str, ...] = ()

    def select(self, rows: Sequence[int] | Indices) -> _Pairs:
        """Return some of the pairs, without the notes."""
        return _Pairs([self.sources[int(k)] for k in rows], [self.targets[int(k)] for k in rows])


def _encode(
    pairs: dict[Split, _Pairs], tokenizers: dict[Side, Tokenizer], max_length: int
) -> tuple[dict[Split, _Encoded], list[str]]:
    """Return the tokens of all pairs except those that are too long, and a note on these."""
    encoded, counts = {}, []
    for split, texts in pairs.items():
        rows = [
            (tokenizers["x"].encode(source), tokenizers["y"].encode(target))
            for source, target in zip(texts.sources, texts.targets, strict=True)
        ]
        short = [pair for pair in rows if max(map(len, pair)) <= max_length]
        if not short:
            raise DataError(f"all pairs of {split} are longer than max_length={max_length}")
        if len(short) < len(rows):
            counts.append(f"{len(rows) - len(short):,} of {split}")
        encoded[split] = {"x": [x for x, _ in short], "y": [y for _, y in short]}
    note = f"pairs with more than {max_length} tokens, left out: {', '.join(counts)}"
    return encoded, [note] if counts else []


def _make_spec(tokenizers: dict[Side, Tokenizer], encoded: dict[Split, _Encoded]) -> DataSpec:
    longest_x, longest_y = (
        max(len(row) for sides in encoded.values() for row in sides[side]) for side in ("x", "y")
    )
    return DataSpec(
        name="parallel_text",
        modality="text",
        task="generate",
        shape=(longest_x,),
        vocabulary=len(tokenizers["x"]),
        symbols=len(tokenizers["y"]),
        target_length=longest_y,
        separator=tokenizers["x"].separator,
        ragged=True,
    )


def _token_notes(
    tokenizers: dict[Side, Tokenizer], encoded: dict[Split, _Encoded], unit: TokenUnit
) -> list[str]:
    subjects: dict[Side, str] = {"x": "sources", "y": "targets"}
    return [
        token_note(subject, tokenizers[side], unit, encoded["val"][side] + encoded["test"][side])
        for side, subject in subjects.items()
    ]


def _check_settings(files: _Paths, source: str | None, target: str | None, max_length: int) -> None:
    problems = []
    has_lines = files["train"][1] is not None
    if has_lines == bool(source or target) or bool(source) != bool(target):
        problems.append(
            "give dataset.target_path=FILE, with a text on each line, or dataset.source=COLUMN and"
            " dataset.target=COLUMN of a table"
        )
    for split in ("val", "test"):
        first, second = files[split]
        if (first is None and second is not None) or (has_lines and bool(first) != bool(second)):
            problems.append(f"give both {split}_path and {split}_target_path, as for train")
        elif second and not has_lines:
            problems.append(f"{split}_target_path requires target_path, a file of train targets")
    if max_length < 1:
        problems.append(f"max_length must be 1 or more, got {max_length}")
    if problems:
        raise ValueError("; ".join(problems))


def _read_splits(
    files: _Paths, source: str | None, target: str | None, delimiter: str | None, lower: bool
) -> tuple[dict[Split, _Pairs], list[str]]:
    """Return the pairs of each split, and notes; splits without a path are taken from train."""
    problems = Problems()
    tables: dict[Split, _Pairs] = {}
    for split, (first, second) in files.items():
        if first and (
            pairs := problems.catch(_read_pairs, first, second, source, target, delimiter)
        ):
            tables[split] = pairs
    problems.raise_if_any()
    notes = [note for pairs in tables.values() for note in pairs.notes]
    keys = normalize_texts(tables["train"].sources, lower)
    if duplicates := count_duplicates(keys):
        notes.append(f"duplicate sources: {duplicates:,}; equal sources are in the same split")
    splits, split_notes = complete_splits(
        tables,
        keys,
        None,
        lambda pairs: normalize_texts(pairs.sources, lower),
        "by a hash of the source",
    )
    return splits, notes + split_notes


def _read_pairs(
    path: str,
    target_path: str | None,
    source: str | None,
    target: str | None,
    delimiter: str | None,
) -> _Pairs:
    """Read the complete pairs of two files, or of a table (without `target_path`)."""
    problems, notes = Problems(), list[str]()
    if target_path:
        sources, targets = (problems.catch(read_lines, file) for file in (path, target_path))
    else:
        table = read_table(path, delimiter=delimiter)
        notes += table.notes
        columns = (str(source), str(target))
        sources, targets = (problems.catch(read_texts, table, name) for name in columns)
    problems.raise_if_any()
    assert sources is not None and targets is not None  # else raise_if_any has raised
    if len(sources) != len(targets):
        raise DataError(
            f"{path} has {len(sources):,} lines and {target_path} {len(targets):,}; expected a "
            "source and its target on the same line of both files"
        )
    complete = [k for k in range(len(sources)) if sources[k].strip() and targets[k].strip()]
    if not complete:
        raise DataError(f"{path} has no pair of texts")
    if incomplete := len(sources) - len(complete):
        notes.append(f"pairs with an empty text, left out: {incomplete:,}")
    pairs = _Pairs(sources, targets).select(complete)
    return _Pairs(pairs.sources, pairs.targets, tuple(notes))
