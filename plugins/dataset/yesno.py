"""YesNo: recordings of eight Hebrew words, yes or no, by one speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.audio.audio_files import read_mono_audio
from quintain.data.files.archives import fetch_tar_folder
from quintain.data.files.download import RemoteFile, data_folder
from quintain.data.on_disk import Item, OnDisk
from quintain.errors import DataError

_REMOTE = RemoteFile(
    url="http://www.openslr.org/resources/1/waves_yesno.tar.gz",
    sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
)
_WORDS = ("no", "yes")
_LENGTH = 8  # words of a recording
_RECORDINGS = 60
_RATE = 8000
_LONGEST = 10 * _RATE


class Yesno(OnDisk):
    """60 recordings of eight words at 8 kHz, at most 10 s; x (80000,), ragged; y (8,).

    The symbols are words: 0 is no (lo), 1 is yes (ken); the file names are the transcripts. In
    their order, every fifth is in the test and the next one in validation: 36 / 12 / 12. The files
    are in `<data_dir>/waves_yesno`.
    """

    def __init__(
        self, data_dir: str | None = None, *, memory: float = 1024, workers: int = 2
    ) -> None:
        spec = DataSpec(
            name="yesno",
            modality="speech",
            task="transcribe",
            shape=(_LONGEST,),
            sample_rate=_RATE,
            symbols=len(_WORDS),
            target_length=_LENGTH,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folder = data_folder(data_dir) / "waves_yesno"

    def prepare_data(self) -> None:
        fetch_tar_folder(self._folder, _REMOTE, "waves_yesno")

    def items(self) -> Mapping[Split, Sequence[Item]]:
        paths = sorted(self._folder.glob("*.wav"))
        invalid = [path.name for path in paths if not _is_transcript(path)]
        if invalid or len(paths) != _RECORDINGS:
            raise DataError(
                f"{self._folder} has {len(paths)} recordings, expected {_RECORDINGS} with names "
                f"such as 0_1_0_1_0_1_0_1.wav{', not ' + invalid[0] if invalid else ''}: remove "
                "the folder, and it is downloaded again"
            )
        items = [Item(path, tuple(map(int, path.stem.split("_")))) for path in paths]
        return {
            "train": [item for k, item in enumerate(items) if k % 5 > 1],
            "val": items[1::5],
            "test": items[::5],
        }

    def read(self, item: Item) -> Tensor:
        return read_mono_audio(item.path, _RATE)

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return " ".join(_WORDS[token] for token in tokens)


def _is_transcript(path: Path) -> bool:
    words = path.stem.split("_")
    return len(words) == _LENGTH and set(words) <= {"0", "1"}
