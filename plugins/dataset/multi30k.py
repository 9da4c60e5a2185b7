"""Multi30k: English descriptions of photographs, and their German translations."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.files.download import RemoteFile, data_folder, fetch
from quintain.data.text.tokenizers import Subwords
from quintain.data.text.vocabulary import pad_tokens
from quintain.errors import DataError

Direction = Literal["de-en", "en-de"]

_SITE = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw"
_FILES = {
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
}
_NAMES: dict[Split, str] = {"train": "train", "val": "val", "test": "test_2016_flickr"}


class Multi30k(InMemory):
    """x: subwords of a sentence, y: of its translation; 29,000 / 1,014 / 1,000 (test 2016, Flickr).

    The texts are neither lower-cased nor tokenised, so BLEU is case-sensitive and computed on the
    original words. Subwords are learned from the train split. The files are
    `<data_dir>/multi30k/*.gz`.

    Args:
        direction: "de-en" or "en-de".
        vocabulary: number of subwords of each language, or of both together if `shared`.
        shared: use the same subwords for both languages.
        longest: maximum number of tokens. Longer pairs are left out of train, and raise an error in
            val and test.

    Raises:
        ValueError: the direction is invalid.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        direction: Direction = "de-en",
        vocabulary: int = 4000,
        shared: bool = False,
        longest: int = 64,
    ) -> None:
        if direction not in get_args(Direction):
            raise ValueError(f"direction must be de-en or en-de; got {direction!r}")
        spec = DataSpec(
            name="multi30k",
            modality="text",
            task="generate",
            shape=(longest,),
            vocabulary=vocabulary,
            symbols=vocabulary,
            target_length=longest,
            ragged=True,
        )
        super().__init__(spec)
        self._languages = direction.split("-")
        self._shared, self._longest = shared, longest
        self._folder = data_folder(data_dir) / "multi30k"
        self._subwords: dict[Side, Subwords] = {}

    def prepare_data(self) -> None:
        for name, sha256 in _FILES.items():
            fetch(self._folder / name, RemoteFile(url=f"{_SITE}/{name}", sha256=sha256))

    def load(self) -> dict[Split, Batch]:
        """Learn the subwords and encode all texts; ValueError if sentencepiece is not installed."""
        sources, targets = self._read_texts("train")
        size = self.spec.vocabulary
        both = Subwords([*sources, *targets], size) if self._shared else None
        self._subwords = {
            "x": both or Subwords(sources, size),
            "y": both or Subwords(targets, size),
        }
        return {split: self._encode(split) for split in get_args(Split)}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Return the sentence as in the file, with each run of spaces reduced to one."""
        return self._subwords[side].decode(tokens)

    def _encode(self, split: Split) -> Batch:
        sources, targets = self._read_texts(split)
        rows = [
            (self._subwords["x"].encode(source), self._subwords["y"].encode(target))
            for source, target in zip(sources, targets, strict=True)
        ]
        short = [row for row in rows if max(map(len, row)) <= self._longest]
        if split != "train" and (long := len(rows) - len(short)):
            raise DataError(
                f"pairs of {split} with more than {self._longest} tokens: {long}, and all must be "
                "scored: increase dataset.longest or dataset.vocabulary"
            )
        x, lengths = pad_tokens([x for x, _ in short], self._longest)
        y, y_lengths = pad_tokens([y for _, y in short], self._longest)
        return Batch(x, y, lengths, y_lengths)

    def _read_texts(self, split: Split) -> tuple[list[str], list[str]]:
        paths = [self._folder / f"{_NAMES[split]}.{language}.gz" for language in self._languages]
        sources, targets = map(_read_lines, paths)
        if len(sources) != len(targets):
            raise DataError(
                f"{paths[0]} has {len(sources):,} lines and {paths[1].name} {len(targets):,}; "
                "expected a sentence and its translation on the same line of both files"
            )
        return sources, targets


def _read_lines(path: Path) -> list[str]:
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): remove it, and it is downloaded again"
        ) from error
    return text.removesuffix("\n").split("\n")
