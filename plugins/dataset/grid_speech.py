"""Six-word sentences of one speaker of the GRID corpus, as sound and text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from quintain.contracts import Batch, DataSpec, Lexicon, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError, data_folder
from quintain.kit.files.given import check_given
from quintain.kit.media.sounds import Letters, read_sound
from quintain.kit.text.grid import WORDS

_RATE = 8000
_LONGEST = 19_200  # samples of the longest sentence
_LONGEST_TEXT = 31
_LETTERS = Letters(" abcdefghijklmnopqrstuvwxyz")
_HEADER = "id\ttext"
_EXPECTED = {
    "transcripts.tsv": "45f20c595a983b7e2086dd0c6b6666cd8a29ab34a3987a0335f6f7df5bfbe1cb",
    "wav/*.wav": "a0b4c6d67d8d312e0c80a96741f2eb4e5360c7f498f4c455973c03b34b1d8d6f",
}
_LAYOUT = (
    "expected wav/<id>.wav (8 kHz, mono, 16 bits, silence cut off at both ends) and "
    "transcripts.tsv (first line id<TAB>text, then a line a sentence). No address is known for "
    "this form: convert speaker s1 of the GRID corpus (CC BY 4.0, doi:10.5281/zenodo.3625687), "
    "or set QUINTAIN_DATA to a folder that has grid_s1"
)


class GridSpeech(InMemory):
    """1,000 sentences of one speaker, such as "bin blue at f two now"; x (19200,), ragged.

    51 words in a fixed grammar: command, colour, preposition, letter, digit, adverb. Symbols are
    the space and 26 letters. Ids in the order of their names: every tenth is for the test, the one
    after it for validation, so 800 / 100 / 100; no sentence occurs twice.

    Args:
        data_dir: where `grid_s1` lies. None as in `data_folder`.
        verify: refuse files other than those of the card's fingerprint. Without, another
            conversion of the corpus can be used, and records say that the data differ.
    """

    def __init__(self, data_dir: str | None = None, *, verify: bool = True) -> None:
        super().__init__(
            DataSpec(
                name="grid_speech",
                modality="speech",
                task="transcribe",
                shape=(_LONGEST,),
                sample_rate=_RATE,
                symbols=len(_LETTERS),
                target_length=_LONGEST_TEXT,
                lexicon=Lexicon(
                    words=tuple(tuple(_LETTERS.encode(word, word)) for word in WORDS),
                    between=_LETTERS.encode(" ", "space")[0],
                ),
                ragged=True,
            )
        )
        self._folder = data_folder(data_dir) / "grid_s1"
        self._verify = verify

    def prepare_data(self) -> None:
        """See that the files are there and are the right ones; there is no download.

        Raises:
            DataError: files are missing, with the layout that is expected, or differ.
        """
        check_given(self._folder, _EXPECTED, _LAYOUT, verify=self._verify)

    def load(self) -> dict[Split, Batch]:
        """Sound in 16 bits, in the order of the ids.

        Raises:
            DataError: sounds and transcripts that do not belong together, or another format.
        """
        texts = self._texts()
        ids: dict[Split, list[str]] = {"train": [], "val": [], "test": []}
        for place, name in enumerate(sorted(texts)):
            ids["test" if place % 10 == 0 else "val" if place % 10 == 1 else "train"].append(name)
        return {split: self._read(some, texts) for split, some in ids.items()}

    def take(self, split: Split, indices: Tensor) -> Batch:
        """16-bit samples divided by 32,768."""
        batch = super().take(split, indices)
        return batch._replace(x=batch.x.float().div_(32768))

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Letters and spaces."""
        return _LETTERS.decode(tokens)

    def _texts(self) -> dict[str, str]:
        """Transcripts by id; each has its sound."""
        header, *lines = (self._folder / "transcripts.tsv").read_text("utf-8").splitlines()
        if header != _HEADER or any(line.count("\t") != 1 for line in lines):
            raise DataError(f"{self._folder / 'transcripts.tsv'} has another form: {_LAYOUT}")
        texts = dict(line.split("\t") for line in lines)
        sounds = {path.stem for path in (self._folder / "wav").glob("*.wav")}
        if odd := sorted(set(texts) ^ sounds):
            raise DataError(
                f"{self._folder}: {len(odd)} ids have a sound or a transcript only, such as "
                f"{odd[0]}: {_LAYOUT}"
            )
        return texts

    def _read(self, ids: Sequence[str], texts: dict[str, str]) -> Batch:
        sounds = [read_sound(self._folder / "wav" / f"{name}.wav", _RATE) for name in ids]
        symbols = [torch.tensor(_LETTERS.encode(texts[name], name)) for name in ids]
        for name, sound, text in zip(ids, sounds, symbols, strict=True):
            if len(sound) > _LONGEST or not 0 < len(text) <= _LONGEST_TEXT:
                raise DataError(
                    f"{name} has {len(sound):,} samples and {len(text)} letters, expected at most "
                    f"{_LONGEST:,} and 1 to {_LONGEST_TEXT}: cut off the silence around it"
                )
        return Batch(
            pad_sequence(sounds, batch_first=True),
            pad_sequence(symbols, batch_first=True),
            torch.tensor([len(sound) for sound in sounds]),
            torch.tensor([len(text) for text in symbols]),
        )
