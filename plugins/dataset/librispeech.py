"""LibriSpeech: English audiobooks read aloud, and what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.tarballs import fetch_folder
from quintain.kit.media.sounds import Letters, read_sound
from quintain.kit.ondisk import Item, OnDisk

_SITE = "http://www.openslr.org/resources/12"
_PARTS = {  # utterances, and SHA-256 of the archive
    "dev-clean": (2703, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
    "dev-other": (2864, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
    "test-clean": (2620, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
    "test-other": (2939, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
    "train-clean-100": (28539, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
    "train-clean-360": (104014, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
    "train-other-500": (148688, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
}
_RATE = 16_000
_LONGEST = 36 * _RATE  # the longest utterance of all parts has a little over 35 s
_LONGEST_TEXT = 700
_LETTERS = Letters(" 'ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Librispeech(OnDisk):
    """Sentences at 16 kHz, at most 36 s; x (576000,), ragged; y up to 700 letters.

    The symbols are the space, the apostrophe and 26 capitals, as the transcripts have them.
    `train-clean-100` takes 11 GiB when decoded, so the files are read as needed.

    Args:
        data_dir: where `LibriSpeech/<part>/<speaker>/<chapter>` lies or is downloaded to. None
            as in `data_folder`.
        train, val, test: the parts that make up the splits; several are joined by "+".
        memory, workers: see `OnDisk`.

    Raises:
        ValueError: a part that LibriSpeech does not have, or that is used twice.
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
            symbols=len(_LETTERS),
            target_length=_LONGEST_TEXT,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._parts: dict[Split, list[str]] = {
            "train": train.split("+"),
            "val": val.split("+"),
            "test": test.split("+"),
        }
        _check([*chain(*self._parts.values())])
        self._folder = data_folder(data_dir) / "LibriSpeech"

    def prepare_data(self) -> None:
        """Download the parts that are missing.

        Raises:
            DataError: a part cannot be had.
        """
        for part in chain(*self._parts.values()):
            remote = Remote(url=f"{_SITE}/{part}.tar.gz", sha256=_PARTS[part][1])
            fetch_folder(self._folder / part, remote, f"LibriSpeech/{part}")

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The utterances of each part in the order of their names.

        Raises:
            DataError: a part is not complete, or a sound has no transcript.
        """
        return {
            split: [item for part in parts for item in _utterances(self._folder / part)]
            for split, parts in self._parts.items()
        }

    def read(self, item: Item) -> Tensor:
        """An utterance in 16 bits."""
        return read_sound(item.path, _RATE)

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Letters and spaces."""
        return _LETTERS.decode(tokens)


def _check(parts: Sequence[str]) -> None:
    problems = [
        f"there is no part {part!r}, only {', '.join(_PARTS)}"
        for part in parts
        if part not in _PARTS
    ]
    twice = sorted({part for part in parts if parts.count(part) > 1})
    problems += [f"{part} is used twice; the splits must differ" for part in twice]
    if problems:
        raise ValueError("; ".join(problems))


def _utterances(folder: Path) -> list[Item]:
    """The sounds of a part that lie beside their transcripts."""
    texts = {}
    for path in sorted(folder.glob("*/*/*.trans.txt")):
        for line in path.read_text("utf-8").splitlines():
            name, _, text = line.partition(" ")
            texts[name] = text
    sounds = {path.stem: path for path in sorted(folder.glob("*/*/*.flac"))}
    expected = _PARTS[folder.name][0]
    if set(texts) != set(sounds) or len(sounds) != expected:
        raise DataError(
            f"{folder} has {len(sounds):,} sounds and {len(texts):,} transcripts, "
            f"{len(set(texts) ^ set(sounds)):,} of them without the other; expected {expected:,} "
            "of each: remove the folder, and it is downloaded again"
        )
    return [Item(path, _LETTERS.encode(texts[name], name)) for name, path in sounds.items()]
