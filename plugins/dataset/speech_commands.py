"""Speech Commands: single English words, spoken by thousands of speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.audio.audio_files import read_mono_audio
from quintain.data.files.archives import fetch_tar_folder
from quintain.data.files.download import RemoteFile, data_folder
from quintain.data.on_disk import Item, OnDisk
from quintain.errors import DataError

_VERSION = "speech_commands_v0.02"
_REMOTE = RemoteFile(
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

    Version 0.02 with its official split by speakers, 84,843 / 9,981 / 11,005. Decoded, it takes
    3.2 GiB (`memory=4096`). The files are in `<data_dir>/SpeechCommands/speech_commands_v0.02`.
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
        fetch_tar_folder(self._folder, _REMOTE, ".")

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """Return the recordings of words, without the background noise."""
        items = {
            f"{word}/{path.name}": Item(path, label)
            for label, word in enumerate(_WORDS)
            for path in sorted((self._folder / word).glob("*.wav"))
        }
        lists = {split: _read_list(self._folder / file) for split, file in _LISTS.items()}
        missing = sorted(set().union(*lists.values()) - set(items))
        if missing or len(items) != _RECORDINGS:
            raise DataError(
                f"{self._folder} has {len(items):,} recordings of the {len(_WORDS)} words, "
                f"expected {_RECORDINGS:,}; {len(missing)} listed ones are missing"
                f"{', such as ' + missing[0] if missing else ''}: remove the folder, and it is "
                "downloaded again"
            )
        held_out = lists["val"] | lists["test"]
        train = [item for name, item in items.items() if name not in held_out]
        val, test = ([items[name] for name in sorted(lists[split])] for split in _LISTS)
        return {"train": train, "val": val, "test": test}

    def read(self, item: Item) -> Tensor:
        return read_mono_audio(item.path, _RATE)


def _read_list(path: Path) -> set[str]:
    """Return the lines of a list, such as `word/file.wav`."""
    if not path.is_file():
        raise DataError(
            f"{path} is missing: remove its folder, and the dataset is downloaded again"
        )
    return set(path.read_text("utf-8").split())
