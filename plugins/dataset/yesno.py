"""YesNo: one man says yes or no, eight times in a row, in Hebrew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.tarballs import fetch_folder
from quintain.kit.media.sounds import read_sound
from quintain.kit.ondisk import Item, OnDisk

_REMOTE = Remote(
    url="http://www.openslr.org/resources/1/waves_yesno.tar.gz",
    sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
)
_WORDS = ("no", "yes")
_SAID = 8  # words of a recording
_RECORDINGS = 60
_RATE = 8000
_LONGEST = 10 * _RATE


class Yesno(OnDisk):
    """60 recordings of eight words at 8 kHz, at most 10 s; x (80000,), ragged; y (8,).

    The symbols are the words: 0 is no (lo), 1 is yes (ken). The file names are the transcripts;
    in their order every fifth is for the test, the one after it for validation: 36 / 12 / 12.

    Args:
        data_dir: where `waves_yesno` lies or is downloaded to. None as in `data_folder`.
        memory, workers: see `OnDisk`.
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
            target_length=_SAID,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folder = data_folder(data_dir) / "waves_yesno"

    def prepare_data(self) -> None:
        """Download where missing.

        Raises:
            DataError: the recordings cannot be had.
        """
        fetch_folder(self._folder, _REMOTE, "waves_yesno")

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The recordings, with the words of their names.

        Raises:
            DataError: some are missing, or have other names.
        """
        paths = sorted(self._folder.glob("*.wav"))
        odd = [path.name for path in paths if not _is_transcript(path)]
        if odd or len(paths) != _RECORDINGS:
            raise DataError(
                f"{self._folder} has {len(paths)} recordings, expected {_RECORDINGS} with names "
                f"such as 0_1_0_1_0_1_0_1.wav{', not ' + odd[0] if odd else ''}: remove the "
                "folder, and it is downloaded again"
            )
        items = [Item(path, tuple(map(int, path.stem.split("_")))) for path in paths]
        return {
            "train": [item for k, item in enumerate(items) if k % 5 > 1],
            "val": items[1::5],
            "test": items[::5],
        }

    def read(self, item: Item) -> Tensor:
        """A recording in 16 bits."""
        return read_sound(item.path, _RATE)

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words and spaces."""
        return " ".join(_WORDS[token] for token in tokens)


def _is_transcript(path: Path) -> bool:
    words = path.stem.split("_")
    return len(words) == _SAID and set(words) <= {"0", "1"}
