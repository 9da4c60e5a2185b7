"""A user's own table of texts: a label for each, or numbers.

Legend: N texts, T tokens, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import some
from quintain.kit.own.splits import SPLITS
from quintain.kit.scale import Scale
from quintain.kit.tables.columns import class_names
from quintain.kit.text.rows import Rows, Wanted, read_splits
from quintain.kit.text.vocabulary import Tokens, TokenSettings, Unit, lay_out, token_note


class TextCsv(InMemory):
    """x long (T,) tokens, ragged; y the label's class, or with head=regress K numbers.

    Texts are split 70 / 10 / 20 by a hash of their content, within each label, so that equal texts
    stay together; `group` keeps all texts of one author or document together instead. Where
    `val_path` or `test_path` is given, that split is as given. The vocabulary is learnt from train.
    Rows without a text, label or number are left out, and counted.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text also behind .gz.
        text: column of the texts.
        label: column of the labels.
        target: column or columns of numbers, with head=regress; in place of label.
        val_path, test_path: tables of the same columns.
        group: column of what must not be torn apart.
        tokens: words, characters or subwords (which need sentencepiece).
        vocabulary: token types at most, the unknown one included.
        min_count: words or characters that stand less often in train are unknown.
        max_length: tokens of a text at most; what follows is cut off, and counted.
        lower: make all letters small.
        header: the first line names the columns; else they are 1, 2, …
        delimiter: of a CSV; None: inferred.

    Raises:
        DataError: what is wrong with the files, all of it in one message.
        ValueError: settings that contradict each other.
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
        tokens: Unit = "words",
        vocabulary: int = 20_000,
        min_count: int = 2,
        max_length: int = 256,
        lower: bool = False,
        header: bool = True,
        delimiter: str | None = None,
    ) -> None:
        targets = list(map(str, [target] if isinstance(target, str | int) else target or ()))
        settings = TokenSettings(tokens, vocabulary, min_count, lower)
        _check_settings(targets, label, max_length)
        wanted = Wanted(str(text), _name(label), targets, _name(group), header, delimiter, lower)
        rows, notes = read_splits({"train": path, "val": val_path, "test": test_path}, wanted)
        self._tokens = settings.learn(rows["train"].texts)
        self._rows = rows
        self._encoded, longest, more = _encode(rows, self._tokens, tokens, max_length)
        super().__init__(_spec(self._tokens, longest, targets, rows["train"]))
        self._scale = Scale.of(torch.from_numpy(rows["train"].values)) if targets else None
        known = ", ".join(some(map(repr, self.spec.classes)))
        self.notes = (*notes, *more, *([f"classes: {known} (inferred)"] if known else []))

    def load(self) -> dict[Split, Batch]:
        """Tokens, in the order of the files."""
        return {split: self._batch(split) for split in SPLITS}

    def take(self, split: Split, indices: Tensor) -> Batch:
        """Tokens as long integers; half as wide in memory."""
        batch = super().take(split, indices)
        return batch._replace(x=batch.x.long())

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """What the tokens say."""
        return self._tokens.decode(tokens)

    def restore(self, y: Tensor) -> Tensor:
        """Numbers as in the file."""
        return y if self._scale is None else self._scale.undo(y)

    def _batch(self, split: Split) -> Batch:
        rows = self._rows[split]
        x, lengths = lay_out(self._encoded[split], self.spec.shape[0])
        if self._scale is not None:
            return Batch(x, self._scale.apply(torch.from_numpy(rows.values)), lengths)
        number = {name: k for k, name in enumerate(self.spec.classes)}
        return Batch(x, torch.tensor([number[name] for name in rows.labels]), lengths)


def _name(column: str | int | None) -> str | None:
    """A column's name; Hydra reads 1 as a number."""
    return None if column is None else str(column)


def _check_settings(targets: list[str], label: str | int | None, max_length: int) -> None:
    wrong = []
    if bool(targets) == (label is not None):
        wrong.append(
            "give dataset.label=COLUMN to classify, or dataset.target=COLUMN (with head=regress)"
            " for numbers"
        )
    if max_length < 1:
        wrong.append(f"max_length must be 1 or more, came {max_length}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _encode(
    rows: dict[Split, Rows], known: Tokens, unit: Unit, max_length: int
) -> tuple[dict[Split, list[list[int]]], int, list[str]]:
    """Tokens of all texts, how many the longest has after the cut, and notes."""
    encoded = {split: [known.encode(one) for one in rows[split].texts] for split in SPLITS}
    sizes = [len(row) for part in encoded.values() for row in part]
    notes = [token_note("vocabulary", known, unit, [*encoded["val"], *encoded["test"]])]
    if cut := sum(size > max_length for size in sizes):
        notes.append(f"texts cut to {max_length} tokens: {cut:,}; the longest has {max(sizes):,}")
    return encoded, min(max(sizes), max_length), notes


def _spec(known: Tokens, longest: int, targets: list[str], train: Rows) -> DataSpec:
    return DataSpec(
        name="text_csv",
        modality="text",
        task="regress" if targets else "classify",
        shape=(longest,),
        classes=() if targets else _classes(train),
        targets=tuple(targets),
        vocabulary=len(known),
        separator=known.separator,
        ragged=True,
    )


def _classes(train: Rows) -> tuple[str, ...]:
    found = class_names(train.labels)
    if len(found) < 2:
        raise DataError(f"expected two or more labels in train, found {found[0]!r} only")
    return found
