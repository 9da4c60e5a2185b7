"""A user's own pairs of texts: one is written from the other, as in translation.

Legend: N pairs, T tokens of a source, U tokens of a target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems
from quintain.kit.own.splits import (
    SPLITS,
    duplicates,
    how,
    leaks,
    said,
    shares_without,
    split_by_key,
)
from quintain.kit.text.pairs import Pairs, read_pairs, text_keys
from quintain.kit.text.vocabulary import Tokens, TokenSettings, Unit, lay_out, token_note

_Coded = dict[Side, list[list[int]]]  # tokens of the sources and of the targets


class ParallelText(InMemory):
    """x long (T,) tokens of the source, y long (U,) of the target, both ragged; to generate.

    Either two files with a text a line (`path` and `target_path`), or one table with two columns
    (`source` and `target`). Split 70 / 10 / 20 by a hash of the source, so that equal sources stay
    together; with `val_path` or `test_path` (and their `…_target_path`) that split is as given.
    Each side has a vocabulary of its own, learnt from train; its token 0 is unknown, and counts as
    right where the truth is unknown too. Pairs with a side longer than `max_length` are left out of
    all splits, and counted.

    Args:
        path: sources, or a table: CSV, TSV, JSON lines (.jsonl) or Parquet; text also behind .gz.
        target_path: targets.
        source, target: columns of the table.
        val_path, val_target_path, test_path, test_target_path: the same of other splits.
        tokens: words, characters or subwords (which need sentencepiece).
        vocabulary: token types at most of each side, the unknown one included.
        min_count: words or characters that stand less often in train are unknown.
        max_length: tokens of a text at most.
        lower: make all letters small.
        delimiter: of a CSV; None: inferred.

    Raises:
        DataError: what is wrong with the files, all of it in one message.
        ValueError: settings that contradict each other.
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
        tokens: Unit = "words",
        vocabulary: int = 20_000,
        min_count: int = 2,
        max_length: int = 128,
        lower: bool = False,
        delimiter: str | None = None,
    ) -> None:
        settings = TokenSettings(tokens, vocabulary, min_count, lower)
        files: dict[Split, tuple[str | None, str | None]] = {
            "train": (path, target_path),
            "val": (val_path, val_target_path),
            "test": (test_path, test_target_path),
        }
        _check_settings(files, source, target, max_length)
        pairs, notes = _read(files, source, target, delimiter, lower)
        train = pairs["train"]
        self._known = {
            "x": settings.learn(train.sources),
            "y": settings.learn(train.targets),
        }
        self._encoded, left_out = _encode(pairs, self._known, max_length)
        super().__init__(_spec(self._known, self._encoded))
        self.notes = (*notes, *left_out, *_token_notes(self._known, self._encoded, tokens))

    def load(self) -> dict[Split, Batch]:
        """Tokens, in the order of the files."""
        loaded: dict[Split, Batch] = {}
        for split, sides in self._encoded.items():
            x, lengths = lay_out(sides["x"], self.spec.shape[0])
            y, y_lengths = lay_out(sides["y"], self.spec.target_length)
            loaded[split] = Batch(x, y, lengths, y_lengths)
        return loaded

    def take(self, split: Split, indices: Tensor) -> Batch:
        """Tokens as long integers; half as wide in memory."""
        batch = super().take(split, indices)
        return batch._replace(x=batch.x.long(), y=batch.y.long())

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """What the tokens say."""
        return self._known[side].decode(tokens)


def _encode(
    pairs: dict[Split, Pairs], known: dict[Side, Tokens], max_length: int
) -> tuple[dict[Split, _Coded], list[str]]:
    """Tokens of all pairs but those that are too long; and what was left out."""
    encoded, counts = {}, []
    for split, texts in pairs.items():
        both = [
            (known["x"].encode(source), known["y"].encode(target))
            for source, target in zip(texts.sources, texts.targets, strict=True)
        ]
        kept = [pair for pair in both if max(map(len, pair)) <= max_length]
        if not kept:
            raise DataError(f"all pairs of {split} are longer than max_length={max_length}")
        if len(kept) < len(both):
            counts.append(f"{len(both) - len(kept):,} of {split}")
        encoded[split] = {"x": [x for x, _ in kept], "y": [y for _, y in kept]}
    what = f"pairs with more than {max_length} tokens, left out: {', '.join(counts)}"
    return encoded, [what] if counts else []


def _spec(known: dict[Side, Tokens], encoded: dict[Split, _Coded]) -> DataSpec:
    longest = {side: max(len(row) for part in encoded.values() for row in part[side])
               for side in ("x", "y")}  # fmt: skip
    return DataSpec(
        name="parallel_text",
        modality="text",
        task="generate",
        shape=(longest["x"],),
        vocabulary=len(known["x"]),
        symbols=len(known["y"]),
        target_length=longest["y"],
        separator=known["x"].separator,
        ragged=True,
    )


def _token_notes(known: dict[Side, Tokens], encoded: dict[Split, _Coded], unit: Unit) -> list[str]:
    notes = []
    for side, what in (("x", "sources"), ("y", "targets")):
        held_out = [*encoded["val"][side], *encoded["test"][side]]
        notes.append(token_note(what, known[side], unit, held_out))
    return notes


def _check_settings(
    files: dict[Split, tuple[str | None, str | None]],
    source: str | None,
    target: str | None,
    max_length: int,
) -> None:
    wrong = []
    lines = files["train"][1] is not None
    if lines == bool(source or target) or bool(source) != bool(target):
        wrong.append(
            "give dataset.target_path=FILE, a text a line, or dataset.source=COLUMN and"
            " dataset.target=COLUMN of a table"
        )
    for split in ("val", "test"):
        first, second = files[split]
        if (first is None and second is not None) or (lines and bool(first) != bool(second)):
            wrong.append(f"{split}_path and {split}_target_path go together, as in train")
        elif second and not lines:
            wrong.append(f"{split}_target_path is for files with a text a line, as in train")
    if max_length < 1:
        wrong.append(f"max_length must be 1 or more, came {max_length}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _read(
    files: dict[Split, tuple[str | None, str | None]],
    source: str | None,
    target: str | None,
    delimiter: str | None,
    lower: bool,
) -> tuple[dict[Split, Pairs], list[str]]:
    """Pairs of each split, and notes; a split that is not given is a part of train."""
    problems = Problems()
    asked = {
        split: problems.ask(read_pairs, first, second, source, target, delimiter)
        for split, (first, second) in files.items()
        if first
    }
    problems.check()
    whole, given = asked["train"], set(asked) - {"train"}
    notes = [note for pairs in asked.values() for note in pairs.notes]
    keys = text_keys(whole.sources, lower)
    if again := duplicates(keys):
        notes.append(f"sources that equal an earlier one: {again:,}; equal ones share a split")
    rest = {"train": np.arange(len(whole.sources))}
    if len(given) < 2:
        rest = split_by_key(keys, shares=shares_without(given))
    splits = {
        split: asked[split] if split in given else whole.pick(rest[split]) for split in SPLITS
    }
    sources = {split: text_keys(pairs.sources, lower) for split, pairs in splits.items()}
    notes.append(said(sources, how(given, "by a hash of the source")))
    return splits, notes + (leaks(sources) if given else [])
