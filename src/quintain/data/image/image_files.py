"""Read image files of any size and mode as uint8 pixels of one size, grey or RGB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from quintain.data.files.problems import Problems
from quintain.data.image.pixel_ranges import (
    DEFAULT_RANGES,
    Depth,
    Range,
    find_depth,
    infer_ranges,
    scale_to_bytes,
    summarize_values,
)
from quintain.data.user_files.scan import FileKind, Metadata
from quintain.errors import DataError

MAX_INFERRED_SIDE = 96  # pixels; at the full size of photographs, training would take days
MAX_SIDE = 10_000  # pixels, limit of a user's setting
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_NOT_DECODED = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
"""Formats that Pillow opens, but decodes with other programs or not at all."""
_RECOGNISED = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
"""Formats that are recognised by their content in files with another extension."""


def probe_image(path: Path) -> Metadata:
    """Decode the first image of a file.

    Returns:
        Width, height, 1 if it is grey (else 0), number of images in the file, `Depth`, and the
        `Values` of its pixels.
    """
    try:
        image_file = Image.open(path)
    except UnidentifiedImageError as error:
        raise DataError("is not an image of a known format") from error
    with image_file as image:
        depth = find_depth(image)
        image.load()
        values = summarize_values(image, depth)
        width, height = ImageOps.exif_transpose(image).size
        is_grey, frames = image.mode in _GREY_MODES, getattr(image, "n_frames", 1)
        return width, height, float(is_grey), float(frames), float(depth), *values


def _is_image(path: Path) -> bool:
    """Whether a file begins like an image of one of the usual formats."""
    try:
        with path.open("rb") as file, Image.open(file, formats=_RECOGNISED):
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def _list_extensions() -> frozenset[str]:
    """Return the extensions of all formats that this Pillow opens."""
    formats = Image.registered_extensions().items()
    return frozenset(e for e, f in formats if f in Image.OPEN and f not in _NOT_DECODED)


IMAGE_FILES = FileKind("images", _list_extensions(), probe_image, version=3, recognize=_is_image)


@dataclass(frozen=True)
class ImageFormat:
    """The format into which all images of a dataset are converted.

    Attributes:
        shape: (C, H, W).
        ranges: values that become black and white, see `pixel_ranges`.
    """

    shape: tuple[int, int, int]
    ranges: Mapping[Depth, Range] = field(default_factory=lambda: DEFAULT_RANGES)

    def read(self, path: Path) -> Tensor:
        """Read the first image of a file as uint8 (C, H, W).

        It is rotated by its EXIF orientation; transparency becomes white. It is scaled to cover
        H × W with Pillow's bilinear filter, which averages when it shrinks, and cropped to the
        centre.
        """
        channels, *size = self.shape
        with Image.open(path) as image:
            depth = find_depth(image)
            upright = ImageOps.exif_transpose(image)
            return fit_to_size(_convert(upright, channels, depth, self.ranges), (size[0], size[1]))


def read_image(path: Path, size: tuple[int, int], channels: int) -> Tensor:
    """Read an image file as uint8 (channels, *size); see `ImageFormat.read`."""
    return ImageFormat((channels, *size)).read(path)


def fit_to_size(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """Scale a grey or RGB image to cover `size` and crop it to the centre; uint8 (C, *size)."""
    height, width = size
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


def infer_image_format(
    files: Sequence[Metadata],
    size: int | Sequence[int] | None,
    channels: int | None,
    range_: Sequence[float] | None,
    problems: Problems,
) -> tuple[ImageFormat, list[str]]:
    """Return the format of all samples, and notes on what was inferred.

    Args:
        files: metadata of each image file.
        size, channels: see `infer_image_shape`.
        range_: see `infer_ranges`.
        problems: collects invalid settings.
    """
    shape, notes = infer_image_shape(files, size, channels, problems)
    values = [(Depth(int(file[4])), (file[5], file[6], file[7])) for file in files]
    ranges, range_notes = infer_ranges(values, range_, problems)
    several = sum(file[3] > 1 for file in files)
    frames = [f"{several:,} files have several images or frames; the first is read"]
    return ImageFormat(shape, ranges), [*notes, *range_notes, *(frames if several else ())]


def infer_image_shape(
    files: Sequence[Metadata],
    size: int | Sequence[int] | None,
    channels: int | None,
    problems: Problems,
    max_side: int = MAX_INFERRED_SIDE,
) -> tuple[tuple[int, int, int], tuple[str, str]]:
    """Return the shape (C, H, W) of all samples, and notes on size and channels.

    Args:
        files: metadata of each file.
        size: side of a square, or (height, width); None: the most common size, the smallest of them
            in a tie, scaled down if its longer side exceeds `max_side` pixels.
        channels: 1 or 3; None: 1 if all files are grey.
        problems: collects invalid settings.
        max_side: limit of an inferred size.
    """
    sizes = [(int(height), int(width)) for width, height, *_ in files]
    (height, width), size_note = _infer_size(sizes, size, problems, max_side)
    if channels not in (None, 1, 3):
        problems.add(f"channels must be 1 (grey) or 3 (RGB), got {channels}")
    grey = sum(bool(is_grey) for _, _, is_grey, *_ in files)
    depth = channels or (1 if grey == len(files) else 3)
    counts = f"{grey:,} files are grey, {len(files) - grey:,} have colour"
    note = f"{'grey' if depth == 1 else 'RGB'} ({counts})"
    return (depth, height, width), (size_note, note)


def _infer_size(
    sizes: Sequence[tuple[int, int]],
    size: int | Sequence[int] | None,
    problems: Problems,
    max_side: int,
) -> tuple[tuple[int, int], str]:
    (common, count), *_ = sorted(Counter(sizes).items(), key=lambda pair: (-pair[1], pair[0]))
    if size is None:
        shrink = min(1.0, max_side / max(common))
        chosen = max(1, round(common[0] * shrink)), max(1, round(common[1] * shrink))
        source = f"the size of {count:,} of {len(sizes):,}"
        if shrink < 1:
            source = (
                f"{common[0]}×{common[1]}, {source}, reduced to {max_side} pixels; size= sets more"
            )
    else:
        pair = (size, size) if isinstance(size, int) else tuple(size)
        if len(pair) != 2 or not all(1 <= side <= MAX_SIDE for side in pair):
            problems.add(f"size must be a side or [height, width] of 1 to {MAX_SIDE:,}, got {size}")
            pair = (1, 1)
        chosen, source = (pair[0], pair[1]), "as set"
    others = sum(file_size != chosen for file_size in sizes)
    scaled = f"; {others:,} files of another size are scaled and cropped" if others else ""
    return chosen, f"size {chosen[0]}×{chosen[1]} (height × width; {source}){scaled}"


def _convert(
    image: Image.Image, channels: int, depth: Depth, ranges: Mapping[Depth, Range]
) -> Image.Image:
    """Convert to mode L or RGB; transparency becomes white."""
    if depth in (Depth.INTEGERS, Depth.FLOATS):
        image = scale_to_bytes(image, depth, ranges)
    elif image.mode == "La":  # grey multiplied by alpha, which Pillow converts to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    return scale_to_bytes(image, depth, ranges) if depth is Depth.BYTES else image
