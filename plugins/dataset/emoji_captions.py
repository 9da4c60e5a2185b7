"""Emoji and their names: what is held out has to be composed of a role and a skin tone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.download import DataError, data_folder
from quintain.kit.files.given import check_given
from quintain.kit.media.pictures import read_image
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.tables.table import read_table

_SIDE = 40
_WORDS, _LONGEST = 1468, 14  # kinds of words, commas and colons; the most of them in a caption
_TONE = "skin tone"
_GENDERS = {"man", "men", "woman", "women", "person", "people"}
_EXPECTED = {
    "captions.csv": "4b74b55fdb91b68e11c0a9b04c5d51f8f0382ce6c63eef5ee430e0d5a9367d06",
    "images/*.png": "935028eec0fc761793dc839be351c2b525cc0452e264893f480f2db02e426f11",
}
_LAYOUT = (
    "expected images/*.png (40×40 pixels, RGB) and captions.csv (first line filename,caption, then "
    "a line a picture). No address is known for this form: draw Noto Emoji (Apache-2.0) at 40×40 "
    "pixels with the names of unicode-emoji-json (MIT), or set QUINTAIN_DATA to a folder that has "
    "emoji"
)


class EmojiCaptions(OnDisk):
    """3,414 pictures, x (3, 40, 40) in bytes, such as "woman artist: medium-dark skin tone".

    Symbols are words, commas and colons. Of each role in skin tones ("artist", whatever the gender)
    whole tones are held out, a fifth for the test and a fifth for validation, by turns: what stands
    there is in no training picture, but the role in other tones and the tone on other roles are.
    All other emoji are for training: 2,714 / 350 / 350.

    Args:
        data_dir: where `emoji` lies. None as in `data_folder`.
        verify: refuse files other than those of the card's fingerprint.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.
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
        """See that the files are there and are the right ones; there is no download.

        Raises:
            DataError: files are missing, with the layout that is expected, or differ.
        """
        check_given(self._folder, _EXPECTED, _LAYOUT, verify=self._verify)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """Pictures in the order of the captions' file.

        Raises:
            DataError: pictures and captions that do not belong together, or other words than the
                spec can hold.
        """
        captions = self._captions()
        self._words = tuple(sorted({word for text in captions.values() for word in _words(text)}))
        longest = max(len(_words(text)) for text in captions.values())
        if len(self._words) > _WORDS or longest > _LONGEST:
            raise DataError(
                f"{self._folder} has {len(self._words)} kinds of words and captions of up to "
                f"{longest}; at most {_WORDS} and {_LONGEST} are expected: {_LAYOUT}"
            )
        number = {word: place for place, word in enumerate(self._words)}
        splits = split_of(list(captions.values()))
        found: dict[Split, list[Item]] = {"train": [], "val": [], "test": []}
        for name, text in captions.items():
            symbols = [number[word] for word in _words(text)]
            found[splits[text]].append(Item(self._folder / "images" / name, symbols))
        return found

    def read(self, item: Item) -> Tensor:
        """A picture as bytes, (3, 40, 40)."""
        return read_image(item.path, (_SIDE, _SIDE), 3)

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words with spaces between them, none before a comma or colon."""
        return re.sub(r" ([,:])", r"\1", " ".join(self._words[token] for token in tokens))

    def _captions(self) -> dict[str, str]:
        """Captions by the name of their picture."""
        table = read_table(self._folder / "captions.csv")
        captions = dict(zip(table.column("filename"), table.column("caption"), strict=True))
        there = {path.name for path in (self._folder / "images").glob("*.png")}
        if odd := sorted(set(captions) ^ there):
            raise DataError(
                f"{self._folder}: {len(odd)} pictures or captions stand alone, such as {odd[0]}: "
                f"{_LAYOUT}"
            )
        return captions


def split_of(captions: Sequence[str]) -> dict[str, Split]:
    """The split of each caption: of the k-th role, the k-th tone and every fifth after it is for
    the test, the one before each of these for validation, in the order of the alphabet.
    """
    tones = defaultdict(set)
    for text in captions:
        if _TONE in text:
            role, tone = _role_and_tone(text)
            tones[role].add(tone)
    splits: dict[tuple[str, str], Split] = {}
    for k, role in enumerate(sorted(tones)):
        for j, tone in enumerate(sorted(tones[role])):
            away = (j - k) % 5
            splits[role, tone] = "test" if away == 0 else "val" if away == 4 else "train"
    return {text: splits[_role_and_tone(text)] if _TONE in text else "train" for text in captions}


def _role_and_tone(text: str) -> tuple[str, str]:
    """`woman artist: dark skin tone` → artist, dark skin tone. Of a gender alone, the gender."""
    who, _, tone = text.partition(": ")
    words = [word for word in _words(who) if word not in {*_GENDERS, ","}]
    return " ".join(words) or who, tone


def _words(text: str) -> list[str]:
    return re.findall(r"[^\s,:]+|[,:]", text)
