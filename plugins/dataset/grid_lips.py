"""The mouth of one speaker of the GRID corpus: which word, or which whole sentence, is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.download import DataError, data_folder
from quintain.kit.files.given import check_given
from quintain.kit.media.video import brightness
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.tables.table import read_table
from quintain.kit.text.grid import SLOTS, WORDS

Word = Literal["command", "colour", "digit", "letter", "sentence"]

_FRAMES, _HEIGHT, _WIDTH = 75, 32, 48
_SHORTEST = 74  # frames of five films; the last one is shown twice
_WINDOW = 16  # frames around a word, 0.64 s: all colours, letters and digits lie in it
_PLACES = {"command": 0, "colour": 1, "letter": 3, "digit": 4}
_EXPECTED = {
    "alignments.tsv": "171398c2175fe538796936bf290546223adfc2e3d9c1a9634dfa6dbb96559f1e",
    "video/*.mp4": "44dca91bdb26a5f32e9855946ab15562b01a423b85f50c263c5f608a4f6f75f2",
}
_LAYOUT = (
    "expected video/<id>.mp4 (the mouth, 48×32 pixels, 75 frames at 25 a second) and "
    "alignments.tsv (first line id<TAB>word<TAB>start_frame<TAB>end_frame, then a line a word). No "
    "address is known for this form: convert speaker s1 of the GRID corpus (CC BY 4.0, "
    "doi:10.5281/zenodo.3625687), or set QUINTAIN_DATA to a folder that has grid_s1"
)


class _Spoken(NamedTuple):
    """A word, and the frames between which it is said."""

    word: str
    start: float
    end: float


class GridLips(OnDisk):
    """1,000 sentences of six words such as "bin blue at f two now", seen and not heard.

    x is the brightness of the mouth as bytes: 16 frames around one word, (16, 1, 32, 48), with its
    class, or all 75 frames with the sentence, whose symbols are the 51 words. Ids in the order of
    their names: every tenth is for the test, the one after it for validation: 800 / 100 / 100.

    Args:
        data_dir: where `grid_s1` lies. None as in `data_folder`.
        word: which word is to be told: `command` (4 classes), `colour` (4), `letter` (25) or
            `digit` (10); `sentence` is a task to transcribe.
        verify: refuse files other than those of the card's fingerprint. Without, another
            conversion of the corpus can be used, and records say that the data differ.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        word: Word = "digit",
        verify: bool = True,
        memory: float = 1024,
        workers: int = 1,
    ) -> None:
        super().__init__(_spec(word), memory=memory, workers=workers)
        self._folder = data_folder(data_dir) / "grid_s1"
        self._word, self._verify = word, verify

    def prepare_data(self) -> None:
        """See that the files are there and are the right ones; there is no download.

        Raises:
            DataError: files are missing, with the layout that is expected, or differ.
        """
        check_given(self._folder, _EXPECTED, _LAYOUT, verify=self._verify)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """Films in the order of their ids.

        Raises:
            DataError: films and words that do not belong together, or no such sentence.
        """
        sentences = self._sentences()
        found: dict[Split, list[Item]] = {"train": [], "val": [], "test": []}
        for place, name in enumerate(sorted(sentences)):
            split: Split = "test" if place % 10 == 0 else "val" if place % 10 == 1 else "train"
            found[split].append(self._item(self._folder / "video" / f"{name}.mp4", sentences[name]))
        return found

    def read(self, item: Item) -> Tensor:
        """Frames as bytes, (T, 1, 32, 48)."""
        film = brightness(item.path)
        if len(film) not in (_SHORTEST, _FRAMES):
            raise DataError(
                f"{item.path} has {len(film)} frames, expected {_FRAMES}, or {_SHORTEST} as five "
                "films of the corpus have: convert it anew"
            )
        film = torch.cat((film, film[-1:])) if len(film) < _FRAMES else film
        return film[(start := item.part[0]) : start + self.spec.shape[0], None]

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words with spaces between them."""
        return " ".join(WORDS[token] for token in tokens)

    def _item(self, path: Path, sentence: Sequence[_Spoken]) -> Item:
        if self._word == "sentence":
            symbols = [
                len([word for slot in SLOTS[:place] for word in slot])
                + SLOTS[place].index(spoken.word)
                for place, spoken in enumerate(sentence)
            ]
            return Item(path, symbols, part=(0,))
        place = _PLACES[self._word]
        _, start, end = sentence[place]
        first = round((start + end - _WINDOW) / 2)
        first = min(max(first, 0), _FRAMES - _WINDOW)  # the first word begins with the film
        return Item(path, SLOTS[place].index(sentence[place].word), part=(first,))

    def _sentences(self) -> dict[str, list[_Spoken]]:
        """Words by id, as they follow on each other; each id has its film."""
        table = read_table(self._folder / "alignments.tsv")
        columns = [table.column(name) for name in ("id", "word", "start_frame", "end_frame")]
        spoken = defaultdict(list)
        for name, word, start, end in zip(*columns, strict=True):
            spoken[name].append(_Spoken(word, float(start), float(end)))
        found = {name: sorted(words, key=lambda one: one.start) for name, words in spoken.items()}
        films = {path.stem for path in (self._folder / "video").glob("*.mp4")}
        wrong = [name for name, words in found.items() if not _is_sentence(words)]
        if odd := sorted({*wrong, *(set(found) ^ films)}):
            raise DataError(
                f"{self._folder}: {len(odd)} ids have a film or words only, or are no sentence of "
                f"the corpus, such as {odd[0]}: {_LAYOUT}"
            )
        return found


def _is_sentence(words: Sequence[_Spoken]) -> bool:
    return len(words) == len(SLOTS) and all(
        spoken.word in slot for spoken, slot in zip(words, SLOTS, strict=True)
    )


def _spec(word: Word) -> DataSpec:
    if word not in get_args(Word):
        raise ValueError(f"dataset.word is one of {', '.join(get_args(Word))}; came {word!r}")
    if word == "sentence":
        return DataSpec(
            name="grid_lips_sentences",
            modality="video",
            task="transcribe",
            shape=(_FRAMES, 1, _HEIGHT, _WIDTH),
            symbols=len(WORDS),
            target_length=len(SLOTS),
        )
    return DataSpec(
        name="grid_lips",
        modality="video",
        task="classify",
        shape=(_WINDOW, 1, _HEIGHT, _WIDTH),
        classes=SLOTS[_PLACES[word]],
    )
