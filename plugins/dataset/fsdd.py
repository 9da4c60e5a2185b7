"""Free Spoken Digit Dataset: English digits, spoken by six speakers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.files.archives import fetch_zip_folder
from quintain.data.files.download import data_folder
from quintain.errors import DataError

_VERSION = "1.0.10"
_ARCHIVE = (
    f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v{_VERSION}.zip"
)
_INNER = f"free-spoken-digit-dataset-{_VERSION}/recordings"
_TREE = "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f"
_RATE = 8000
# The longest recording takes 2.3 s, but 99 % take at most 0.92 s. A limit of one second halves the
# padding and cuts 20 of 3,000 recordings.
_LONGEST = 8000


class Fsdd(InMemory):
    """3,000 recordings at 8 kHz, cut to 1 s; x (8000,) in [-1, 1], ragged.

    The official test split has the recordings 0-4 of each speaker and digit; here, validation has
    5-9, and train 10-49: 2,400 / 300 / 300. All splits have the same speakers. The files are in
    `<data_dir>/fsdd/recordings`, or in a clone named `free-spoken-digit-dataset`.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        spec = DataSpec(
            name="fsdd",
            modality="speech",
            task="classify",
            shape=(_LONGEST,),
            classes=tuple("0123456789"),
            sample_rate=_RATE,
            ragged=True,
        )
        super().__init__(spec)
        self._data = data_folder(data_dir)

    def prepare_data(self) -> None:
        fetch_zip_folder(self._recordings(), _INNER, _ARCHIVE, _TREE, ".wav")

    def load(self) -> dict[Split, Batch]:
        files: dict[Split, list[Path]] = {"train": [], "val": [], "test": []}
        for path in sorted(self._recordings().glob("*.wav")):
            files[_split_of(path)].append(path)
        if not all(files.values()):
            raise DataError(f"{self._recordings()} lacks recordings: call prepare_data() first")
        return {split: _read_all(paths) for split, paths in files.items()}

    def _recordings(self) -> Path:
        names = ("fsdd", "free-spoken-digit-dataset")
        download, clone = (self._data / name / "recordings" for name in names)
        return clone if clone.exists() and not download.exists() else download


def _split_of(path: Path) -> Split:
    index = int(path.stem.rsplit("_", 1)[1])
    return "test" if index < 5 else "val" if index < 10 else "train"


def _read_all(paths: Sequence[Path]) -> Batch:
    """Read WAV files named `{digit}_{speaker}_{index}.wav`, cut or padded to one length."""
    x = np.zeros((len(paths), _LONGEST), np.int16)
    lengths = np.zeros(len(paths), np.int64)
    for row, path in enumerate(paths):
        samples, rate = soundfile.read(path, frames=_LONGEST, dtype="int16")
        if rate != _RATE or samples.ndim != 1:
            raise DataError(f"{path} is {rate} Hz × {samples.shape}, expected {_RATE} Hz mono")
        x[row, : len(samples)] = samples
        lengths[row] = len(samples)
    y = torch.tensor([int(path.name[0]) for path in paths])
    return Batch(torch.from_numpy(x), y, torch.from_numpy(lengths))
