"""LibriSpeech: recordings of English audiobooks with transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.audio.audio_files import read_mono_audio
from quintain.data.files.archives import fetch_tar_folder
from quintain.data.files.download import RemoteFile, data_folder
from quintain.data.on_disk import Item, OnDisk
from quintain.data.text.vocabulary import Alphabet
from quintain.errors import DataError

_SITE = "http://www.openslr.org/resources/12"
_PARTS = {  # number of utterances, and SHA-256 of the archive
    "dev-clean": (2703, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
    "dev-other": (2864, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
    "test-clean": (2620, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
    "test-other": (2939, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
    "train-clean-100": (28539, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
    "train-clean-360": (104014, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
    "train-other-500": (148688, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
}
_RATE = 16_000
_LONGEST = 36 * _RATE  # the longest utterance takes a little over 35 s
_LONGEST_TEXT = 700
_ALPHABET = Alphabet(" 'ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Librispeech(OnDisk):
    """Utterances at 16 kHz, at most 36 s; x (576000,), ragged; y up to 700 symbols.

    The symbols are the space, the apostrophe and 26 capitals. `train-clean-100` takes 11 GiB when
    decoded, so the files are read when needed. They are in the folder
    `<data_dir>/LibriSpeech/<part>/<speaker>/<chapter>`.

    Args:
        train, val, test: part or parts ("train-clean-100+train-clean-360") of the split.

    Raises:
        ValueError: a part does not exist or is used twice.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        train: str = "train-clean-100",
        val: str = "dev-clean",
        test: str = "test-clean",
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        spec = DataSpec(
            name="librispeech",
            modality="speech",
            task="transcribe",
            shape=(_LONGEST,),
            sample_rate=_RATE,
            symbols=len(_ALPHABET),
            target_length=_LONGEST_TEXT,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._parts: dict[Split, list[str]] = {
            "train": train.split("+"),
            "val": val.split("+"),
            "test": test.split("+"),
        }
        _check_parts([*chain(*self._parts.values())])
        self._folder = data_folder(data_dir) / "LibriSpeech"

    def prepare_data(self) -> None:
        for part in chain(*self._parts.values()):
            remote = RemoteFile(url=f"{_SITE}/{part}.tar.gz", sha256=_PARTS[part][1])
            fetch_tar_folder(self._folder / part, remote, f"LibriSpeech/{part}")

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return {
            split: [item for part in parts for item in _list_utterances(self._folder / part)]
            for split, parts in self._parts.items()
        }

    def read(self, item: Item) -> Tensor:
        return read_mono_audio(item.path, _RATE)

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return _ALPHABET.decode(tokens)


def _check_parts(parts: Sequence[str]) -> None:
    problems = [
        f"expected one of {', '.join(_PARTS)}; got {part!r}" for part in parts if part not in _PARTS
    ]
    duplicates = sorted({part for part in parts if parts.count(part) > 1})
    problems += [f"{part} is used twice; the splits must differ" for part in duplicates]
    if problems:
        raise ValueError("; ".join(problems))


def _list_utterances(folder: Path) -> list[Item]:
    """Return the recordings of a part with their transcripts."""
    texts = {}
    for path in sorted(folder.glob("*/*/*.trans.txt")):
        for line in path.read_text("utf-8").splitlines():
            name, _, text = line.partition(" ")
            texts[name] = text
    recordings = {path.stem: path for path in sorted(folder.glob("*/*/*.flac"))}
    expected = _PARTS[folder.name][0]
    if set(texts) != set(recordings) or len(recordings) != expected:
        raise DataError(
            f"{folder} has {len(recordings):,} recordings and {len(texts):,} transcripts, "
            f"{len(set(texts) ^ set(recordings)):,} of them unpaired; expected {expected:,} pairs: "
            "remove the folder, and it is downloaded again"
        )
    return [Item(path, _ALPHABET.encode(texts[name], name)) for name, path in recordings.items()]
