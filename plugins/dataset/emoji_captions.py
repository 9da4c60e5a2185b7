"""Emoji and their names; val and test have new combinations of a role and a skin tone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.files.archives import require_files
from quintain.data.files.download import data_folder
from quintain.data.image.image_files import read_image
from quintain.data.on_disk import Item, OnDisk
from quintain.data.tables.table import read_table
from quintain.errors import DataError

_SIDE = 40
_WORDS, _LONGEST = 1468, 14  # different words with comma and colon; words of the longest caption
_TONE = "skin tone"
_GENDERS = {"man", "men", "woman", "women", "person", "people"}
_EXPECTED = {
    "captions.csv": "4b74b55fdb91b68e11c0a9b04c5d51f8f0382ce6c63eef5ee430e0d5a9367d06",
    "images/*.png": "935028eec0fc761793dc839be351c2b525cc0452e264893f480f2db02e426f11",
}
_LAYOUT = (
    "expected images/*.png (40×40 pixels, RGB) and captions.csv (first line filename,caption, then "
    "one line for each image). No such files can be downloaded: draw Noto Emoji (Apache-2.0) at "
    "40×40 pixels with the names of unicode-emoji-json (MIT), or set QUINTAIN_DATA to a folder "
    "that has emoji"
)


class EmojiCaptions(OnDisk):
    """3,414 images, x uint8 (3, 40, 40), such as "woman artist: medium-dark skin tone".

    The symbols are words, commas and colons. Of each role with skin tones ("artist", of any
    gender), a fifth of the tones is in the test, a fifth in validation (see `assign_splits`), so
    train has the role in other tones and the tone with other roles, but not this combination. All
    other emoji are in train: 2,714 / 350 / 350. The files are in `<data_dir>/emoji`.

    Args:
        verify: refuse files that differ from those of the card's fingerprint.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        verify: bool = True,
        memory: float = 1024,
        workers: int = 1,
    ) -> None:
        spec = DataSpec(
            name="emoji_captions",
            modality="image",
            task="generate",
            shape=(3, _SIDE, _SIDE),
            symbols=_WORDS,
            target_length=_LONGEST,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folder = data_folder(data_dir) / "emoji"
        self._verify = verify
        self._words: tuple[str, ...] = ()

    def prepare_data(self) -> None:
        require_files(self._folder, _EXPECTED, _LAYOUT, verify=self._verify)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        captions = self._read_captions()
        words = {name: _split_words(text) for name, text in captions.items()}
        self._words = tuple(sorted({word for caption in words.values() for word in caption}))
        longest = max(map(len, words.values()))
        if len(self._words) > _WORDS or longest > _LONGEST:
            raise DataError(
                f"{self._folder} has {len(self._words)} different words and captions of up to "
                f"{longest} words, expected at most {_WORDS} and {_LONGEST}: {_LAYOUT}"
            )
        symbol_of = {word: symbol for symbol, word in enumerate(self._words)}
        splits = assign_splits(list(captions.values()))
        items: dict[Split, list[Item]] = {"train": [], "val": [], "test": []}
        for name, text in captions.items():
            symbols = [symbol_of[word] for word in words[name]]
            items[splits[text]].append(Item(self._folder / "images" / name, symbols))
        return items

    def read(self, item: Item) -> Tensor:
        return read_image(item.path, (_SIDE, _SIDE), 3)

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Join words with spaces, except before a comma or colon."""
        return re.sub(r" ([,:])", r"\1", " ".join(self._words[token] for token in tokens))

    def _read_captions(self) -> dict[str, str]:
        """Return the caption of each image file."""
        table = read_table(self._folder / "captions.csv")
        captions = dict(zip(table.column("filename"), table.column("caption"), strict=True))
        images = {path.name for path in (self._folder / "images").glob("*.png")}
        if unpaired := sorted(set(captions) ^ images):
            raise DataError(
                f"{self._folder}: {len(unpaired)} images or captions are unpaired, such as "
                f"{unpaired[0]}: {_LAYOUT}"
            )
        return captions


def assign_splits(captions: Sequence[str]) -> dict[str, Split]:
    """Return the split of each caption.

    Of the k-th role in alphabetical order, the k-th tone and every fifth one after it are in the
    test, and the tones before these in validation.
    """
    tones = defaultdict(set)
    for text in captions:
        if _TONE in text:
            role, tone = _split_role_and_tone(text)
            tones[role].add(tone)
    splits: dict[tuple[str, str], Split] = {}
    for k, role in enumerate(sorted(tones)):
        for j, tone in enumerate(sorted(tones[role])):
            offset = (j - k) % 5
            splits[role, tone] = "test" if offset == 0 else "val" if offset == 4 else "train"
    return {
        text: splits[_split_role_and_tone(text)] if _TONE in text else "train" for text in captions
    }


def _split_role_and_tone(text: str) -> tuple[str, str]:
    """Return artist and dark skin tone of `woman artist: dark skin tone`; "man" is a role too."""
    person, _, tone = text.partition(": ")
    words = [word for word in _split_words(person) if word not in {*_GENDERS, ","}]
    return " ".join(words) or person, tone


def _split_words(text: str) -> list[str]:
    return re.findall(r"[^\s,:]+|[,:]", text)
