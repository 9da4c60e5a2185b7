"""Stanford Sentiment Treebank (SST-2): sentences of film reviews, for or against the film."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.files.download import (
    RemoteFile,
    data_folder,
    fetch_plain_or_gzip,
    read_plain_or_gzip,
)
from quintain.data.text.vocabulary import Vocabulary, pad_tokens
from quintain.errors import DataError

_ROOT = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2"
)
_FILES: dict[Split, RemoteFile] = {
    split: RemoteFile(url=f"{_ROOT}/{name}.tsv", sha256=sha256)
    for split, name, sha256 in (
        ("train", "train", "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
        ("val", "dev", "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
        ("test", "test", "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
    )
}
_LABELS = {"0": 0, "1": 1}
_LONGEST = 53  # words
# The 7,204 words that occur at least twice in train, and the unknown one; words that occur once are
# unknown, so that a model is trained on unknown words.
_VOCABULARY = 7205


class Sst2(InMemory):
    """x int64 (53,) words, ragged; two classes; 6,920 / 872 / 1,821 sentences.

    The common two-class version (Socher et al. 2013; Kim 2014): whole sentences without neutral
    ones, in lower case, already tokenised, with the published splits. Two test sentences also occur
    in train. The files are `<data_dir>/sst2/train.tsv`, `dev.tsv` and `test.tsv`, plain or gzipped.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        spec = DataSpec(
            name="sst2",
            modality="text",
            task="classify",
            shape=(_LONGEST,),
            classes=("against", "for"),
            vocabulary=_VOCABULARY,
            separator=" ",
            ragged=True,
        )
        super().__init__(spec)
        self._folder = data_folder(data_dir) / "sst2"

    def prepare_data(self) -> None:
        for remote in _FILES.values():
            fetch_plain_or_gzip(self._folder / remote.name, remote)

    def load(self) -> dict[Split, Batch]:
        splits = {split: self._read(remote) for split, remote in _FILES.items()}
        self._vocabulary = Vocabulary((words for words, _ in splits["train"]), _VOCABULARY)
        return {split: self._make_batch(rows) for split, rows in splits.items()}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return " ".join(self._vocabulary.decode(tokens))

    def _read(self, remote: RemoteFile) -> list[tuple[list[str], int]]:
        path = self._folder / remote.name
        rows = []
        text = read_plain_or_gzip(path).decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), start=1):
            sentence, _, label = line.rpartition("\t")
            words = sentence.split()
            if label not in _LABELS or not 0 < len(words) <= _LONGEST:
                raise DataError(
                    f"{path.name}, line {number}: {line[:60]!r}; expected 1 to {_LONGEST} words, "
                    "a tab, and 0 or 1: remove the file, and it is downloaded again"
                )
            rows.append((words, _LABELS[label]))
        return rows

    def _make_batch(self, rows: Sequence[tuple[list[str], int]]) -> Batch:
        x, lengths = pad_tokens([self._vocabulary.encode(words) for words, _ in rows], _LONGEST)
        return Batch(x, torch.tensor([label for _, label in rows]), lengths)
