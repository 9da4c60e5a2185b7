"""IDX, the file format of MNIST and its kin: magic number, sizes, bytes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quintain.kit.files.download import DataError

_UNSIGNED_BYTES = 8


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, packed with gzip where its name ends in `.gz`.

    The format (yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned byte), the
    number of axes, their sizes as big-endian 32-bit integers, then the values row by row.

    Raises:
        DataError: the file is not there, not of this format, too short or too long.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTES:
        raise DataError(
            f"{path} is no IDX file of unsigned bytes: it begins with {content[:4].hex()!r}, "
            "expected '000008' and the number of axes"
        )
    axes = content[3]
    start = 4 + 4 * axes
    sizes = content[4:start].ljust(4 * axes, b"\0")  # a header cut short counts as sizes of 0
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content):,} bytes (unpacked), but its header of sizes {shape} asks "
            f"for {expected:,}: it is truncated or damaged; remove it, and it is downloaded again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_labelled(folder: Path, name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images (N, 28, 28) and labels (N,) of a part of MNIST or its kin, "train" or "t10k".

    Raises:
        DataError: as `read_idx`, or images and labels that do not belong together.
    """
    images = read_idx(idx_path(folder, f"{name}-images-idx3-ubyte"))
    labels = read_idx(idx_path(folder, f"{name}-labels-idx1-ubyte"))
    if images.shape[1:] != (28, 28) or labels.shape != (len(images),):
        raise DataError(
            f"{folder} holds images {images.shape} and labels {labels.shape} for {name!r}, "
            "expected (N, 28, 28) and (N,): remove the folder, and it is downloaded again"
        )
    return images, labels


def idx_path(folder: Path, name: str) -> Path:
    """The packed file, unless only an unpacked one is there."""
    packed, unpacked = folder / f"{name}.gz", folder / name
    return unpacked if unpacked.exists() and not packed.exists() else packed


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): put it there again") from error
