"""Speech Commands: single English words by thousands of speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.tarballs import fetch_folder
from quintain.kit.media.sounds import read_sound
from quintain.kit.ondisk import Item, OnDisk

_VERSION = "speech_commands_v0.02"
_REMOTE = Remote(
    url=f"http://download.tensorflow.org/data/{_VERSION}.tar.gz",
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
_WORDS = (
    *("backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward"),
    *("four", "go", "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one"),
    *("right", "seven", "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow"),
    *("yes", "zero"),
)
_LISTS: dict[Split, str] = {"val": "validation_list.txt", "test": "testing_list.txt"}
_RECORDINGS = 105_829
_RATE = 16_000


class SpeechCommands(OnDisk):
    """105,829 recordings of 35 words at 16 kHz, at most 1 s; x (16000,), ragged.

    Version 0.02 with its official split by speakers: validation_list.txt, testing_list.txt, all
    others for training, 84,843 / 9,981 / 11,005. In memory it takes 3.2 GiB (`memory=4096`).

    Args:
        data_dir: where `SpeechCommands/speech_commands_v0.02` lies or is downloaded to. None as
            in `data_folder`.
        memory, workers: see `OnDisk`.
    """

    def __init__(
        self, data_dir: str | None = None, *, memory: float = 1024, workers: int = 2
    ) -> None:
        spec = DataSpec(
            name="speech_commands",
            modality="speech",
            task="classify",
            shape=(_RATE,),
            classes=_WORDS,
            sample_rate=_RATE,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folder = data_folder(data_dir) / "SpeechCommands" / _VERSION

    def prepare_data(self) -> None:
        """Download where missing.

        Raises:
            DataError: the recordings cannot be had.
        """
        fetch_folder(self._folder, _REMOTE, ".")

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The recordings of each split in the order of their names; background noise is left out.

        Raises:
            DataError: recordings or lists are missing.
        """
        found = {
            f"{word}/{path.name}": Item(path, label)
            for label, word in enumerate(_WORDS)
            for path in sorted((self._folder / word).glob("*.wav"))
        }
        listed = {split: _names(self._folder / file) for split, file in _LISTS.items()}
        lost = sorted(set().union(*listed.values()) - set(found))
        if lost or len(found) != _RECORDINGS:
            raise DataError(
                f"{self._folder} has {len(found):,} recordings of the {len(_WORDS)} words, "
                f"expected {_RECORDINGS:,}; of those listed {len(lost)} are missing"
                f"{', such as ' + lost[0] if lost else ''}: remove the folder, and it is "
                "downloaded again"
            )
        held_out = listed["val"] | listed["test"]
        train = [item for name, item in found.items() if name not in held_out]
        val, test = ([found[name] for name in sorted(listed[split])] for split in _LISTS)
        return {"train": train, "val": val, "test": test}

    def read(self, item: Item) -> Tensor:
        """A recording in 16 bits."""
        return read_sound(item.path, _RATE)


def _names(path: Path) -> set[str]:
    """The lines of a list, `word/file.wav` each."""
    if not path.is_file():
        raise DataError(
            f"{path} is missing: remove its folder, and the data set is downloaded again"
        )
    return set(path.read_text("utf-8").split())
