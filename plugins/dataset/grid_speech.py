"""Recordings and transcripts of six-word sentences by one speaker of the GRID corpus."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from quintain.contracts import Batch, DataSpec, Lexicon, Side, Split
from quintain.data.audio.audio_files import read_mono_audio
from quintain.data.base import InMemory
from quintain.data.files.archives import require_files
from quintain.data.files.download import data_folder
from quintain.data.text.grid_corpus import WORDS, split_ids
from quintain.data.text.vocabulary import Alphabet
from quintain.errors import DataError

_RATE = 8000
_LONGEST = 19_200  # samples of the longest sentence
_LONGEST_TEXT = 31
_ALPHABET = Alphabet(" abcdefghijklmnopqrstuvwxyz")
_HEADER = "id\ttext"
_EXPECTED = {
    "transcripts.tsv": "45f20c595a983b7e2086dd0c6b6666cd8a29ab34a3987a0335f6f7df5bfbe1cb",
    "wav/*.wav": "a0b4c6d67d8d312e0c80a96741f2eb4e5360c7f498f4c455973c03b34b1d8d6f",
}
_LAYOUT = (
    "expected wav/<id>.wav (8 kHz, mono, 16 bits, silence cut off at both ends) and "
    "transcripts.tsv (first line id<TAB>text, then one line for each sentence). No such files can "
    "be downloaded: convert speaker s1 of the GRID corpus (CC BY 4.0, doi:10.5281/zenodo.3625687), "
    "or set QUINTAIN_DATA to a folder that has grid_s1"
)


class GridSpeech(InMemory):
    """1,000 sentences of one speaker, such as "bin blue at f two now"; x (19200,), ragged.

    The sentences have a fixed grammar of 51 words (command, colour, preposition, letter, digit,
    adverb), and no duplicates. The symbols are the space and 26 letters. 800 / 100 / 100 samples,
    see `split_ids`. The files are in `<data_dir>/grid_s1`.

    Args:
        verify: refuse files whose content differs from the expected SHA-256. If false, another
            conversion of the corpus can be used, and records state that the data differ.
    """

    def __init__(self, data_dir: str | None = None, *, verify: bool = True) -> None:
        spec = DataSpec(
            name="grid_speech",
            modality="speech",
            task="transcribe",
            shape=(_LONGEST,),
            sample_rate=_RATE,
            symbols=len(_ALPHABET),
            target_length=_LONGEST_TEXT,
            lexicon=Lexicon(
                words=tuple(tuple(_ALPHABET.encode(word, word)) for word in WORDS),
                between=_ALPHABET.encode(" ", "space")[0],
            ),
            ragged=True,
        )
        super().__init__(spec)
        self._folder = data_folder(data_dir) / "grid_s1"
        self._verify = verify

    def prepare_data(self) -> None:
        require_files(self._folder, _EXPECTED, _LAYOUT, verify=self._verify)

    def load(self) -> dict[Split, Batch]:
        texts = self._read_transcripts()
        return {split: self._read(names, texts) for split, names in split_ids(texts).items()}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return _ALPHABET.decode(tokens)

    def _read_transcripts(self) -> dict[str, str]:
        """Return the transcript of each id; raise DataError unless each id has a recording."""
        header, *lines = (self._folder / "transcripts.tsv").read_text("utf-8").splitlines()
        if header != _HEADER or any(line.count("\t") != 1 for line in lines):
            raise DataError(f"{self._folder / 'transcripts.tsv'} has another format: {_LAYOUT}")
        texts = dict(line.split("\t") for line in lines)
        recordings = {path.stem for path in (self._folder / "wav").glob("*.wav")}
        if unpaired := sorted(set(texts) ^ recordings):
            raise DataError(
                f"{self._folder}: {len(unpaired)} ids have only a recording or only a transcript, "
                f"such as {unpaired[0]}: {_LAYOUT}"
            )
        return texts

    def _read(self, ids: Sequence[str], texts: dict[str, str]) -> Batch:
        recordings = [read_mono_audio(self._folder / "wav" / f"{name}.wav", _RATE) for name in ids]
        symbols = [torch.tensor(_ALPHABET.encode(texts[name], name)) for name in ids]
        for name, samples, text in zip(ids, recordings, symbols, strict=True):
            if len(samples) > _LONGEST or not 0 < len(text) <= _LONGEST_TEXT:
                raise DataError(
                    f"{name} has {len(samples):,} samples and {len(text)} letters, expected at "
                    f"most {_LONGEST:,} and 1 to {_LONGEST_TEXT}: cut off the silence around it"
                )
        return Batch(
            pad_sequence(recordings, batch_first=True),
            pad_sequence(symbols, batch_first=True),
            torch.tensor([len(samples) for samples in recordings]),
            torch.tensor([len(text) for text in symbols]),
        )
