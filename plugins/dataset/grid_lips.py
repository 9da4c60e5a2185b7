"""Videos of the mouth of one speaker of the GRID corpus, with the spoken words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.files.archives import require_files
from quintain.data.files.download import data_folder
from quintain.data.on_disk import Item, OnDisk
from quintain.data.tables.table import read_table
from quintain.data.text.grid_corpus import SLOTS, WORDS, split_ids
from quintain.data.video.video_files import read_luma
from quintain.errors import DataError

Word = Literal["command", "colour", "digit", "letter", "sentence"]

_FRAMES, _HEIGHT, _WIDTH = 75, 32, 48
_SHORTEST = 74  # frames of five videos, whose last frame is repeated
_WINDOW = 16  # frames around a word, 0.64 s, which contain every colour, letter and digit
_POSITIONS = {"command": 0, "colour": 1, "letter": 3, "digit": 4}
_EXPECTED = {
    "alignments.tsv": "171398c2175fe538796936bf290546223adfc2e3d9c1a9634dfa6dbb96559f1e",
    "video/*.mp4": "44dca91bdb26a5f32e9855946ab15562b01a423b85f50c263c5f608a4f6f75f2",
}
_LAYOUT = (
    "expected video/<id>.mp4 (the mouth, 48×32 pixels, 75 frames at 25 a second) and "
    "alignments.tsv (first line id<TAB>word<TAB>start_frame<TAB>end_frame, then one line for each "
    "word). No such files can be downloaded: convert speaker s1 of the GRID corpus (CC BY 4.0, "
    "doi:10.5281/zenodo.3625687), or set QUINTAIN_DATA to a folder that has grid_s1"
)


class _SpokenWord(NamedTuple):
    """A word with its first and last frame."""

    word: str
    start: float
    end: float


class GridLips(OnDisk):
    """1,000 videos of a mouth that speaks sentences such as "bin blue at f two now".

    x is the brightness, uint8: either 16 frames around one word, (16, 1, 32, 48), whose class is
    the target, or all 75 frames, whose target is the sentence as symbols, one for each of 51 words.
    800 / 100 / 100 samples, see `split_ids`. The files are in `<data_dir>/grid_s1`.

    Args:
        word: the target: `command` (4 classes), `colour` (4), `letter` (25), `digit` (10), or
            `sentence`, which makes it a transcription dataset.
        verify: refuse files that differ from those of the card's fingerprint. If false, another
            conversion of the corpus can be used, and records state that the data differ.
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
        super().__init__(_make_spec(word), memory=memory, workers=workers)
        self._folder = data_folder(data_dir) / "grid_s1"
        self._word, self._verify = word, verify

    def prepare_data(self) -> None:
        require_files(self._folder, _EXPECTED, _LAYOUT, verify=self._verify)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        sentences, folder = self._read_sentences(), self._folder / "video"
        return {
            split: [self._make_item(folder / f"{name}.mp4", sentences[name]) for name in names]
            for split, names in split_ids(sentences).items()
        }

    def read(self, item: Item) -> Tensor:
        frames = read_luma(item.path)
        if len(frames) not in (_SHORTEST, _FRAMES):
            raise DataError(
                f"{item.path} has {len(frames)} frames, expected {_FRAMES}, or {_SHORTEST} as five "
                "videos of the corpus have: convert it again"
            )
        frames = torch.cat((frames, frames[-1:])) if len(frames) < _FRAMES else frames
        return frames[(start := item.part[0]) : start + self.spec.shape[0], None]

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return " ".join(WORDS[token] for token in tokens)

    def _make_item(self, path: Path, sentence: Sequence[_SpokenWord]) -> Item:
        if self._word == "sentence":
            symbols = [
                sum(map(len, SLOTS[:position])) + SLOTS[position].index(spoken.word)
                for position, spoken in enumerate(sentence)
            ]
            return Item(path, symbols, part=(0,))
        position = _POSITIONS[self._word]
        word, start, end = sentence[position]
        first = round((start + end - _WINDOW) / 2)
        first = min(max(first, 0), _FRAMES - _WINDOW)  # the first word begins with the video
        return Item(path, SLOTS[position].index(word), part=(first,))

    def _read_sentences(self) -> dict[str, list[_SpokenWord]]:
        """Return the words of each id in order; raise DataError unless each id has a video."""
        table = read_table(self._folder / "alignments.tsv")
        columns = [table.column(name) for name in ("id", "word", "start_frame", "end_frame")]
        words_by_id = defaultdict(list)
        for name, word, start, end in zip(*columns, strict=True):
            words_by_id[name].append(_SpokenWord(word, float(start), float(end)))
        sentences = {
            name: sorted(words, key=lambda word: word.start) for name, words in words_by_id.items()
        }
        videos = {path.stem for path in (self._folder / "video").glob("*.mp4")}
        malformed = {name for name, words in sentences.items() if not _is_sentence(words)}
        if invalid := sorted(malformed | (set(sentences) ^ videos)):
            raise DataError(
                f"{self._folder}: {len(invalid)} ids have only a video or only words, or are not a "
                f"sentence of the corpus, such as {invalid[0]}: {_LAYOUT}"
            )
        return sentences


def _is_sentence(words: Sequence[_SpokenWord]) -> bool:
    return len(words) == len(SLOTS) and all(
        spoken.word in slot for spoken, slot in zip(words, SLOTS, strict=True)
    )


def _make_spec(word: Word) -> DataSpec:
    if word not in get_args(Word):
        raise ValueError(f"dataset.word must be one of {', '.join(get_args(Word))}; got {word!r}")
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
        classes=SLOTS[_POSITIONS[word]],
    )
