"""A user's pairs of texts: the target is generated from the source, as in translation.

Legend: N pairs, T tokens of a source, U tokens of a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.files.problems import Problems
from quintain.data.tables.columns import read_texts
from quintain.data.tables.table import read_table
from quintain.data.tables.text_files import read_lines
from quintain.data.text.references import describe_bleu, describe_references, group_rows
from quintain.data.text.scripts import choose_bleu_tokens
from quintain.data.text.tokenizers import Tokenizer, TokenizerSettings, TokenUnit, token_notes
from quintain.data.text.unicode_form import compose, describe_composed
from quintain.data.text.vocabulary import pad_tokens
from quintain.data.user_files.splits import (
    SPLITS,
    Indices,
    apply_given_splits,
    complete_splits,
    count_duplicates,
    normalize_texts,
)
from quintain.data.user_files.usual_columns import find_given_splits
from quintain.errors import DataError

_Paths = dict[Split, tuple[str | None, str | None]]  # files of sources and of targets


class ParallelText(InMemory):
    """x int64 (T,) tokens of the source, y int64 (U,) tokens of the target, both ragged.

    The pairs are in two files with one text on each line (`path` and `target_path`), or in one
    table with two columns (`source` and `target`). The splits (70 / 10 / 20) are by a hash of the
    source; equal sources are in the same split. `val_path`, `test_path` and their `…_target_path`
    are predefined splits. In val and test, equal sources are one sample, and its answer is scored
    against all their targets, as the file has them. Sources and targets have separate vocabularies,
    learned from train; token 0 is unknown, and never a right answer. Pairs with a text longer than
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
        encoding: of a text file, such as cp1252; None: UTF-8, or UTF-16 with a byte-order mark.

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
        encoding: str | None = None,
    ) -> None:
        settings = TokenizerSettings(tokens, vocabulary, min_count, lower)
        first, second = (
            (path, val_path, test_path),
            (target_path, val_target_path, test_target_path),
        )
        files: _Paths = dict(zip(SPLITS, zip(first, second, strict=True), strict=True))
        _check_settings(files, source, target, max_length)
        columns = _Columns(str(source), str(target), delimiter, encoding)
        pairs, notes = _read_splits(files, columns, lower)
        targets = pairs["train"].targets
        x, y = settings.fit(pairs["train"].sources), settings.fit(targets, restores=True)
        self._tokenizers: dict[Side, Tokenizer] = {"x": x, "y": y}
        self._samples, length_notes = _encode(pairs, self._tokenizers, max_length)
        super().__init__(_make_spec(self._tokenizers, self._samples, choose_bleu_tokens(targets)))
        self._true_texts = [texts for split in SPLITS for texts in self._samples[split].references]
        token_notes = _token_notes(self._tokenizers, self._samples, pairs, tokens)
        bleu_notes = _reference_notes(self._samples, self.spec.bleu_tokens)
        self.notes = (*notes, *length_notes, *token_notes, *bleu_notes)

    def load(self) -> dict[Split, Batch]:
        loaded: dict[Split, Batch] = {}
        count = 0
        for split, samples in self._samples.items():
            x, lengths = pad_tokens(samples.x, self.spec.shape[0], np.int32)
            y, y_lengths = pad_tokens(samples.y, self.spec.target_length, np.int32)
            numbers = torch.arange(count, count + len(x)) if samples.references else None
            count += len(samples.references)
            loaded[split] = Batch(x, y, lengths, y_lengths, numbers)
        return loaded

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._tokenizers[side].decode(tokens)


@dataclass(frozen=True)
class _Pairs:
    """Sources, targets, keys that are equal for equal sources, given splits, and notes."""

    sources: list[str]
    targets: list[str]
    keys: list[str]
    given: list[Split | None]
    notes: tuple[str, ...] = ()

    def select(self, rows: Sequence[int] | Indices) -> _Pairs:
        """Return some of the pairs, without the notes."""
        indices = [int(k) for k in rows]
        sources, targets, keys = (
            [column[k] for k in indices] for column in (self.sources, self.targets, self.keys)
        )
        return _Pairs(sources, targets, keys, [self.given[k] for k in indices])


class _Columns(NamedTuple):
    """The user's settings of a table and of text files."""

    source: str
    target: str
    delimiter: str | None
    encoding: str | None


@dataclass(frozen=True)
class _Samples:
    """Tokens of sources and targets, and in val and test the true texts of each sample."""

    x: list[Sequence[int]]
    y: list[Sequence[int]]
    references: list[tuple[str, ...]] = field(default_factory=list)


def _encode(
    pairs: dict[Split, _Pairs], tokenizers: dict[Side, Tokenizer], max_length: int
) -> tuple[dict[Split, _Samples], list[str]]:
    """Return the samples of each split, and a note on pairs that are too long."""
    encoded, counts = {}, []
    for split, texts in pairs.items():
        rows = [
            (tokenizers["x"].encode(source), tokenizers["y"].encode(target))
            for source, target in zip(texts.sources, texts.targets, strict=True)
        ]
        # In val and test all targets of a source are true texts of one sample; y is the first.
        groups = [[k] for k in range(len(rows))] if split == "train" else group_rows(texts.keys)
        short = [[k for k in group if max(map(len, rows[k])) <= max_length] for group in groups]
        used = [
            (group, fitting[0]) for group, fitting in zip(groups, short, strict=True) if fitting
        ]
        if not used:
            raise DataError(f"all pairs of {split} are longer than max_length={max_length}")
        if left_out := len(rows) - sum(len(group) for group, _ in used):
            counts.append(f"{left_out:,} of {split}")
        encoded[split] = _Samples([rows[k][0] for _, k in used], [rows[k][1] for _, k in used])
        if split != "train":
            normalized = [tokenizers["y"].normalize(target) for target in texts.targets]
            encoded[split].references.extend(
                tuple(dict.fromkeys(normalized[k] for k in group)) for group, _ in used
            )
    note = f"pairs with more than {max_length} tokens, left out: {', '.join(counts)}"
    return encoded, [note] if counts else []


def _make_spec(
    tokenizers: dict[Side, Tokenizer], samples: dict[Split, _Samples], bleu_tokens: str
) -> DataSpec:
    longest_x, longest_y = (
        max(len(row) for split in samples.values() for row in getattr(split, side))
        for side in ("x", "y")
    )
    return DataSpec(
        name="parallel_text",
        modality="text",
        task="generate",
        shape=(longest_x,),
        vocabulary=len(tokenizers["x"]),
        symbols=len(tokenizers["y"]),
        target_length=longest_y,
        bleu_tokens=bleu_tokens,
        separator=tokenizers["x"].separator,
        ragged=True,
    )


def _token_notes(
    tokenizers: dict[Side, Tokenizer],
    samples: dict[Split, _Samples],
    pairs: dict[Split, _Pairs],
    unit: TokenUnit,
) -> list[str]:
    val, test, train = samples["val"], samples["test"], pairs["train"]
    return [
        *token_notes("sources", tokenizers["x"], unit, train.sources, val.x + test.x),
        *token_notes("targets", tokenizers["y"], unit, train.targets, val.y + test.y),
    ]


def _reference_notes(samples: dict[Split, _Samples], bleu_tokens: str) -> list[str]:
    held_out = {split: samples[split].references for split in SPLITS if split != "train"}
    counts = {split: (len(r), sum(map(len, r))) for split, r in held_out.items()}
    return [
        *describe_references(counts, "sources", "targets"),
        *describe_bleu(bleu_tokens, held_out["test"]),
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
    files: _Paths, columns: _Columns, lower: bool
) -> tuple[dict[Split, _Pairs], list[str]]:
    """Return the pairs of each split, and notes; splits without a path are taken from train."""
    problems = Problems()
    tables: dict[Split, _Pairs] = {}
    for split, (first, second) in files.items():
        if first and (pairs := problems.catch(_read_pairs, first, second, columns)):
            tables[split] = replace(pairs, keys=normalize_texts(pairs.sources, lower))
    problems.raise_if_any()
    notes = [note for pairs in tables.values() for note in pairs.notes]
    if len(tables) == 1:
        tables = apply_given_splits(tables["train"])
    keys = tables["train"].keys
    if duplicates := count_duplicates(keys):
        notes.append(f"duplicate sources: {duplicates:,}; equal sources are in the same split")
    splits, split_notes = complete_splits(
        tables, keys, None, lambda pairs: pairs.keys, "by a hash of the source"
    )
    return splits, notes + split_notes


def _read_pairs(path: str, target_path: str | None, columns: _Columns) -> _Pairs:
    """Read the complete pairs of two files, or of a table (without `target_path`)."""
    problems, notes = Problems(), list[str]()
    given: list[Split | None] = []
    if target_path:
        files = (path, target_path)
        sources, targets = (problems.catch(read_lines, f, columns.encoding) for f in files)
    else:
        table = read_table(path, delimiter=columns.delimiter, encoding=columns.encoding)
        names = (columns.source, columns.target)
        sources, targets = (problems.catch(read_texts, table, name) for name in names)
        splits = problems.catch(find_given_splits, table, names)
        given, split_notes = splits or ([], [])
        notes += [*table.notes, *split_notes]
        for name in names:
            notes += describe_composed(f"column {name!r}: texts", table.columns.get(name, ()))
    problems.raise_if_any()
    assert sources is not None and targets is not None  # else raise_if_any has raised
    for file, texts in ((path, sources), (target_path, targets)):
        notes += describe_composed(f"{file}: texts", texts)
    sources, targets = ([compose(text) for text in texts] for texts in (sources, targets))
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
    pairs = _Pairs(sources, targets, sources, given or [None] * len(sources)).select(complete)
    return replace(pairs, notes=tuple(notes))
