"""Free Spoken Digit Dataset: English digits by six speakers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError, data_folder, fetch_tree

_VERSION = "1.0.10"
_ARCHIVE = (
    f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v{_VERSION}.zip"
)
_INNER = f"free-spoken-digit-dataset-{_VERSION}/recordings"
_TREE = "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f"
_RATE = 8000
# The longest recording has 2.3 s, but 99 of 100 fit into 0.92 s: one second costs less than half
# of the padding and cuts the end of 20 recordings in 3,000.
_LONGEST = 8000


class Fsdd(InMemory):
    """3,000 recordings at 8 kHz, cut to 1 s; x (8000,) in [-1, 1], ragged.

    The official split: recordings 0-4 of each speaker and digit are for the test, 5-9 here for
    validation, the others (10-49) for training: 2,400 / 300 / 300. All splits share the speakers.

    Args:
        data_dir: where `fsdd/recordings` lies or is downloaded to; a clone named
            `free-spoken-digit-dataset` is found too. None as in `data_folder`.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        super().__init__(
            DataSpec(
                name="fsdd",
                modality="speech",
                task="classify",
                shape=(_LONGEST,),
                classes=tuple("0123456789"),
                sample_rate=_RATE,
                ragged=True,
            )
        )
        self._data = data_folder(data_dir)

    def prepare_data(self) -> None:
        """Download where missing, and verify the content of all recordings.

        Raises:
            DataError: the recordings cannot be had, or are not those of the version named above.
        """
        fetch_tree(self._recordings(), _INNER, _ARCHIVE, _TREE, ".wav")

    def load(self) -> dict[Split, Batch]:
        """Sound in 16 bits, in the order of the file names.

        Raises:
            DataError: no recordings, or one in another format.
        """
        files: dict[Split, list[Path]] = {"train": [], "val": [], "test": []}
        for path in sorted(self._recordings().glob("*.wav")):
            files[_split_of(path)].append(path)
        if not all(files.values()):
            raise DataError(f"{self._recordings()} lacks recordings: call prepare_data() first")
        return {split: _read_all(paths) for split, paths in files.items()}

    def take(self, split: Split, indices: Tensor) -> Batch:
        """16-bit samples divided by 32,768."""
        batch = super().take(split, indices)
        return batch._replace(x=batch.x.float().div_(32768))

    def _recordings(self) -> Path:
        ours, clone = (
            self._data / name / "recordings" for name in ("fsdd", "free-spoken-digit-dataset")
        )
        return clone if clone.exists() and not ours.exists() else ours


def _split_of(path: Path) -> Split:
    index = int(path.stem.rsplit("_", 1)[1])
    return "test" if index < 5 else "val" if index < 10 else "train"


def _read_all(paths: Iterable[Path]) -> Batch:
    """WAV files named `{digit}_{speaker}_{index}.wav` → sounds cut and padded to one length."""
    paths = list(paths)
    x = np.zeros((len(paths), _LONGEST), np.int16)
    lengths = np.zeros(len(paths), np.int64)
    for row, path in enumerate(paths):
        sound, rate = soundfile.read(path, frames=_LONGEST, dtype="int16")
        if rate != _RATE or sound.ndim != 1:
            raise DataError(f"{path} is {rate} Hz × {sound.shape}, expected {_RATE} Hz mono")
        x[row, : len(sound)] = sound
        lengths[row] = len(sound)
    y = torch.tensor([int(path.name[0]) for path in paths])
    return Batch(torch.from_numpy(x), y, torch.from_numpy(lengths))
