"""A dataset of WAV files with random sound, read from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.on_disk import Item, OnDisk

SPLITS: tuple[Split, ...] = ("train", "val", "test")


SOUND = DataSpec(
    name="sounds",
    modality="speech",
    task="transcribe",
    shape=(400,),
    sample_rate=8000,
    symbols=3,
    target_length=4,
    ragged=True,
)


class AudioFiles(OnDisk):
    """WAV files with a transcript each; they go to the three splits in turn."""

    def __init__(self, files: Sequence[Path], *, memory: float = 1024, workers: int = 2) -> None:
        super().__init__(SOUND, memory=memory, workers=workers)
        self.files = files

    def items(self) -> Mapping[Split, Sequence[Item]]:
        all_items = [Item(path, (1,) * (1 + n % 4)) for n, path in enumerate(self.files)]
        return {split: all_items[n::3] for n, split in enumerate(SPLITS)}

    def read(self, item: Item) -> Tensor:
        return torch.from_numpy(soundfile.read(item.path, dtype="int16")[0])


@pytest.fixture
def audio_files(tmp_path: Path) -> list[Path]:
    """Write 30 files of different lengths."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.wav" for n in range(30)]
    for n, path in enumerate(paths):
        soundfile.write(path, random.uniform(-1, 1, 100 + 10 * n), 8000, subtype="PCM_16")
    return paths
