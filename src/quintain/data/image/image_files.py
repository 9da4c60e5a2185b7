"""Read image files of any size and mode as uint8 pixels of one size, grey or RGB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from quintain.data.files.problems import Problems
from quintain.data.user_files.scan import FileKind, Metadata
from quintain.errors import DataError

MAX_INFERRED_SIDE = 96  # pixels; at the full size of photographs, training would take days
MAX_SIDE = 10_000  # pixels, limit of a user's setting
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
_16_BIT_MODES = ("I", "I;16", "I;16B", "I;16L")
_UNSUPPORTED_MODES = ("F",)  # floats without a known range


def probe_image(path: Path) -> Metadata:
    """Decode an image file; return width, height, and 1 if it is grey, else 0."""
    try:
        image_file = Image.open(path)
    except UnidentifiedImageError as error:
        raise DataError("is not an image of a known format") from error
    with image_file as image:
        if image.mode in _UNSUPPORTED_MODES:
            raise DataError(f"has pixels of mode {image.mode}, expected bytes or 16 bits")
        image.load()
        width, height = ImageOps.exif_transpose(image).size
        return width, height, float(image.mode in _GREY_MODES)


IMAGE_FILES = FileKind(
    "images",
    frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}),
    probe_image,
)


def read_image(path: Path, size: tuple[int, int], channels: int) -> Tensor:
    """Read the first image of a file as uint8 (channels, *size).

    It is rotated by its EXIF orientation; transparency becomes white; 16 bits are rounded to 8. It
    is scaled to cover the size (height, width) with Pillow's bilinear filter, which averages when
    it shrinks, and cropped to the centre. `channels` is 1 or 3.
    """
    with Image.open(path) as image:
        return fit_to_size(_convert(ImageOps.exif_transpose(image), channels), size)


def fit_to_size(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """Scale a grey or RGB image to cover `size` and crop it to the centre; uint8 (C, *size)."""
    height, width = size
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


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


def _convert(image: Image.Image, channels: int) -> Image.Image:
    """Convert to mode L or RGB; transparency becomes white."""
    if image.mode in _16_BIT_MODES:
        values = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")
