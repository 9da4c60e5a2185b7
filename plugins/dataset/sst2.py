"""Stanford Sentiment Treebank, two classes: is a sentence of a film review for or against?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.packed import fetch_packed, read_packed
from quintain.kit.text.words import Vocabulary, pad

_ROOT = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2"
)
_FILES: dict[Split, Remote] = {
    split: Remote(url=f"{_ROOT}/{name}.tsv", sha256=sha256)
    for split, name, sha256 in (
        ("train", "train", "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
        ("val", "dev", "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
        ("test", "test", "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
    )
}
_LABELS = {"0": 0, "1": 1}
_LONGEST = 53  # words
# The 7,204 words that stand at least twice in train, and the unknown: those that stand once are
# unknown in train too, so that a model learns what to make of a word it has not met.
_VOCABULARY = 7205


class Sst2(InMemory):
    """Sentences of film reviews; x long (53,) words, ragged; 6,920 / 872 / 1,821.

    The usual two-class version (Socher et al. 2013; Kim 2014): whole sentences only, neutral ones
    left out, lower case, already cut into words. Splits as given; two test sentences also stand in
    train.

    Args:
        data_dir: where `sst2/train.tsv`, `dev.tsv` and `test.tsv` lie or are downloaded to; None
            as in `data_folder`.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        super().__init__(
            DataSpec(
                name="sst2",
                modality="text",
                task="classify",
                shape=(_LONGEST,),
                classes=("against", "for"),
                vocabulary=_VOCABULARY,
                separator=" ",
                ragged=True,
            )
        )
        self._folder = data_folder(data_dir) / "sst2"

    def prepare_data(self) -> None:
        """Download where missing, and verify.

        Raises:
            DataError: a file cannot be had, or is another.
        """
        for remote in _FILES.values():
            fetch_packed(self._folder / remote.url.rpartition("/")[2], remote)

    def load(self) -> dict[Split, Batch]:
        """Sentences in the order of the files.

        Raises:
            DataError: a file is missing, or a line is no sentence with a label.
        """
        splits = {split: self._read(remote) for split, remote in _FILES.items()}
        self._vocabulary = Vocabulary((words for words, _ in splits["train"]), _VOCABULARY)
        return {split: self._batch(rows) for split, rows in splits.items()}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words with spaces between them."""
        return " ".join(self._vocabulary.decode(tokens))

    def _read(self, remote: Remote) -> list[tuple[list[str], int]]:
        path = self._folder / remote.url.rpartition("/")[2]
        rows = []
        for number, line in enumerate(read_packed(path).decode("utf-8", "replace").splitlines(), 1):
            sentence, _, label = line.rpartition("\t")
            words = sentence.split()
            if label not in _LABELS or not 0 < len(words) <= _LONGEST:
                raise DataError(
                    f"{path.name}, line {number}: {line[:60]!r}; expected 1 to {_LONGEST} words, "
                    "a tab, and 0 or 1: remove the file, and it is downloaded again"
                )
            rows.append((words, _LABELS[label]))
        return rows

    def _batch(self, rows: Sequence[tuple[list[str], int]]) -> Batch:
        x, lengths = pad([self._vocabulary.encode(words) for words, _ in rows], _LONGEST)
        return Batch(x, torch.tensor([label for _, label in rows]), lengths)
