"""Datasets in the format of MNIST (IDX files), and a validation split for datasets without one."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.files.download import data_folder
from quintain.errors import DataError

_UNSIGNED_BYTES = 8


class MnistFormat(InMemory):
    """70,000 images in IDX files; x uint8 (1, 28, 28); 55,000 / 5,000 / 10,000 samples.

    Validation is the last part of the official train split. The files, gzipped or not, are in the
    folder `<data_dir>/<folder>/raw`, as in torchvision.
    """

    option: ClassVar[str]
    """Option of the group `dataset`."""
    folder: ClassVar[str]
    """Name of the folder, as in torchvision."""
    classes: ClassVar[tuple[str, ...]]

    def __init__(self, data_dir: str | None = None) -> None:
        spec = DataSpec(
            name=self.option,
            modality="image",
            task="classify",
            shape=(1, 28, 28),
            classes=self.classes,
        )
        super().__init__(spec)
        self._raw = data_folder(data_dir) / self.folder / "raw"

    def load(self) -> dict[Split, Batch]:
        return split_validation(self._read("train"), self._read("t10k"), 5000)

    def _read(self, name: str) -> Batch:
        """Read images and labels of one part of the dataset, "train" or "t10k"."""
        images = read_idx(idx_path(self._raw, f"{name}-images-idx3-ubyte"))
        labels = read_idx(idx_path(self._raw, f"{name}-labels-idx1-ubyte"))
        if images.shape[1:] != (28, 28) or labels.shape != (len(images),):
            raise DataError(
                f"{self._raw} has images {images.shape} and labels {labels.shape} for {name!r}, "
                "expected (N, 28, 28) and (N,): remove the folder, and it is downloaded again"
            )
        return Batch(torch.tensor(images).unsqueeze(1), torch.tensor(labels).long())


def split_validation(train: Batch, test: Batch, size: int) -> dict[Split, Batch]:
    """Return three splits; validation is the last `size` samples of train."""
    end = len(train.x) - size
    return {
        "train": Batch(train.x[:end], train.y[:end]),
        "val": Batch(train.x[end:], train.y[end:]),
        "test": test,
    }


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped if its name ends in `.gz`.

    The format (yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned byte), the
    number of axes, their sizes as big-endian 32-bit integers, then the values in row-major order.

    Raises:
        DataError: the file does not exist, is not in this format, too short or too long.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): replace it") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTES:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: it begins with {content[:4].hex()!r}, "
            "expected '000008' and the number of axes"
        )
    axes = content[3]
    start = 4 + 4 * axes
    sizes = content[4:start].ljust(4 * axes, b"\0")  # the size of a missing axis is 0
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content):,} bytes (unpacked), but its header of sizes {shape} states "
            f"{expected:,}: it is truncated or damaged; remove it, and it is downloaded again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def idx_path(folder: Path, name: str) -> Path:
    """Return the path of the gzipped file, unless only an unpacked one exists."""
    packed, unpacked = folder / f"{name}.gz", folder / name
    return unpacked if unpacked.exists() and not packed.exists() else packed
