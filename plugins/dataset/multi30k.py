"""Multi30k: descriptions of photographs in English, translated into German."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError, Remote, data_folder, fetch
from quintain.kit.text.subwords import Subwords
from quintain.kit.text.words import pad

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
    """x: subwords of one language, y: of the other; 29,000 / 1,014 / 1,000 (test 2016, Flickr).

    Texts are as in the files: neither lower-cased nor tokenised, so BLEU is case-sensitive and has
    the truth's own words. Subwords are learnt from the train split.

    Args:
        data_dir: where `multi30k/*.gz` lies or is downloaded to; None as in `data_folder`.
        direction: "de-en" or "en-de".
        vocabulary: subwords of each language, or of both together where `shared`.
        shared: one set of subwords for both languages.
        longest: tokens of a text at most; longer pairs are left out of train.

    Raises:
        ValueError: another direction.
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
            raise ValueError(f"direction is de-en or en-de; came {direction!r}")
        super().__init__(
            DataSpec(
                name="multi30k",
                modality="text",
                task="generate",
                shape=(longest,),
                vocabulary=vocabulary,
                symbols=vocabulary,
                target_length=longest,
                ragged=True,
            )
        )
        self._languages = direction.split("-")
        self._shared, self._longest = shared, longest
        self._folder = data_folder(data_dir) / "multi30k"
        self._subwords: dict[Side, Subwords] = {}

    def prepare_data(self) -> None:
        """Download what is missing, and verify it.

        Raises:
            DataError: a file cannot be had, or is not what it should be.
        """
        for name, sha256 in _FILES.items():
            fetch(self._folder / name, Remote(url=f"{_SITE}/{name}", sha256=sha256))

    def load(self) -> dict[Split, Batch]:
        """Learn the subwords, and cut all texts into them, in the order of the files.

        Raises:
            DataError: a file is missing or broken, or a text to score is longer than `longest`.
        """
        sources, targets = self._texts("train")
        size = self.spec.vocabulary
        both = Subwords([*sources, *targets], size) if self._shared else None
        self._subwords = {
            "x": both or Subwords(sources, size),
            "y": both or Subwords(targets, size),
        }
        return {split: self._encoded(split) for split in get_args(Split)}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """As in the file, but for runs of spaces."""
        return self._subwords[side].decode(tokens)

    def _encoded(self, split: Split) -> Batch:
        sources, targets = self._texts(split)
        rows = [
            (self._subwords["x"].encode(source), self._subwords["y"].encode(target))
            for source, target in zip(sources, targets, strict=True)
        ]
        kept = [row for row in rows if max(map(len, row)) <= self._longest]
        if split != "train" and len(kept) < len(rows):
            raise DataError(
                f"pairs of {split} with more than {self._longest} tokens: {len(rows) - len(kept)}, "
                "and all must be scored: set dataset.longest or dataset.vocabulary higher"
            )
        x, lengths = pad([x for x, _ in kept], self._longest)
        y, y_lengths = pad([y for _, y in kept], self._longest)
        return Batch(x, y, lengths, y_lengths)

    def _texts(self, split: Split) -> tuple[list[str], list[str]]:
        paths = [self._folder / f"{_NAMES[split]}.{language}.gz" for language in self._languages]
        sources, targets = map(_lines, paths)
        if len(sources) != len(targets):
            raise DataError(
                f"{paths[0]} has {len(sources):,} lines and {paths[1].name} {len(targets):,}; "
                "expected line by line a sentence and its translation"
            )
        return sources, targets


def _lines(path: Path) -> list[str]:
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): remove it, and it is downloaded again"
        ) from error
    return text.removesuffix("\n").split("\n")
