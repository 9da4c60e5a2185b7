"""Samples of files with captions: one for each caption in train, one for each file elsewhere."""

from __future__ import annotations

from typing import TypedDict

from quintain.contracts import Split
from quintain.data.on_disk import Item
from quintain.data.text.references import describe_bleu, describe_references, group_rows
from quintain.data.text.scripts import choose_bleu_tokens
from quintain.data.text.tokenizers import TokenizerSettings, token_notes
from quintain.data.user_files.file_tables import FileTable, TableRow
from quintain.data.user_files.splits import SPLITS


class _SpecFields(TypedDict):
    symbols: int
    target_length: int
    bleu_tokens: str


class Captions:
    """Encodes the captions of a table of files.

    In val and test, files with equal content are one sample: its answer is scored against all
    their captions, as the table has them, and y is the first one.

    Attributes:
        tokenizer: learned from train.
        notes: on tokens, on files with several captions, and on BLEU.
    """

    def __init__(self, table: FileTable, settings: TokenizerSettings) -> None:
        train = table.texts("train")
        self.tokenizer = settings.fit(train, restores=True)
        self._table = table
        self._bleu_tokens = choose_bleu_tokens(train)
        held_out = [self.tokenizer.encode(text) for text in table.texts("val", "test")]
        files = {split: self._group(split) for split in SPLITS}
        counts = {split: (len(rows), len(table.splits[split])) for split, rows in files.items()}
        references = [self._normalize(rows) for rows in files["test"]]
        self.notes = (
            *token_notes("captions", self.tokenizer, settings.unit, train, held_out),
            *describe_references(counts, "images", "captions"),
            *describe_bleu(self._bleu_tokens, references),
        )

    def spec_fields(self) -> _SpecFields:
        """Return the fields of the `DataSpec` that follow from the captions."""
        return {
            "symbols": len(self.tokenizer),
            "target_length": max(len(self.tokenizer.encode(r.text)) for r in self._table.rows),
            "bleu_tokens": self._bleu_tokens,
        }

    def items(self) -> dict[Split, list[Item]]:
        """Return the samples of each split."""
        return {
            split: [
                Item(
                    rows[0].path,
                    tuple(self.tokenizer.encode(rows[0].text)),
                    sha256=rows[0].scan.sha256,
                    references=self._normalize(rows),
                )
                for rows in self._group(split, is_train=split == "train")
            ]
            for split in SPLITS
        }

    def _normalize(self, rows: list[TableRow]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.tokenizer.normalize(row.text) for row in rows))

    def _group(self, split: Split, *, is_train: bool = False) -> list[list[TableRow]]:
        """Return the rows of each file, or single rows."""
        rows = self._table.splits[split]
        if is_train:
            return [[row] for row in rows]
        return [[rows[k] for k in group] for group in group_rows([r.scan.sha256 for r in rows])]
