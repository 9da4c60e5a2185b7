"""Image files of any size and mode → bytes of one size, grey or RGB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems
from quintain.kit.own.scan import Facts, Kind

LARGEST = 96  # pixels of the longer side of an inferred size: a photo's own size trains for days
MOST = 10_000  # pixels of a side that may be asked for
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
_SIXTEEN = ("I", "I;16", "I;16B", "I;16L")
_UNFIT = ("F",)  # floats without a known range


def probe(path: Path) -> Facts:
    """Decode an image file: width, height, whether it is grey (1) or has colour (0)."""
    try:
        opened = Image.open(path)
    except UnidentifiedImageError as error:
        raise DataError("is no image that can be recognised") from error
    with opened as image:
        if image.mode in _UNFIT:
            raise DataError(f"has pixels of mode {image.mode}, expected bytes or 16 bits")
        image.load()
        width, height = ImageOps.exif_transpose(image).size
        return width, height, float(image.mode in _GREY)


IMAGES = Kind(
    "images",
    frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}),
    probe,
)


def read_image(path: Path, size: tuple[int, int], channels: int) -> Tensor:
    """An image file → bytes (channels, *size).

    Turned as its EXIF says; transparent parts become white; 16 bits are rounded to 8. Scaled to
    cover the size (Pillow's bilinear filter, which averages when it shrinks), then the middle is
    cut out. Of a file with several pictures, the first.

    Args:
        path: of the file.
        size: height, width.
        channels: 1 or 3.
    """
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        return as_bytes(_plain(upright, channels), size)


def as_bytes(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """A grey or RGB picture → bytes (C, *size), scaled to cover it, then cropped."""
    height, width = size
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


def infer_size(
    sizes: Sequence[tuple[int, int]],
    asked: int | Sequence[int] | None,
    problems: Problems,
    largest: int = LARGEST,
) -> tuple[tuple[int, int], str]:
    """Height and width of all pictures, and a note on how they came about.

    Args:
        sizes: (height, width) of each file.
        asked: a side of a square, (height, width), or None: the size that most files have, of
            equal ones the smaller; scaled down where its longer side has over `largest` pixels.
        problems: notes a size that is none.
        largest: pixels of a side of what is inferred.
    """
    (common, count), *_ = sorted(Counter(sizes).items(), key=lambda pair: (-pair[1], pair[0]))
    if asked is None:
        shrink = min(1.0, largest / max(common))
        size = max(1, round(common[0] * shrink)), max(1, round(common[1] * shrink))
        how = f"the size of {count:,} of {len(sizes):,}"
        if shrink < 1:
            how = f"{_by(common)}, {how}, brought down to {largest} pixels; size= asks for more"
    else:
        pair = (asked, asked) if isinstance(asked, int) else tuple(asked)
        if len(pair) != 2 or not all(1 <= side <= MOST for side in pair):
            problems.add(f"size must be a side or [height, width] of 1 to {MOST:,}, came {asked}")
            pair = (1, 1)
        size, how = (pair[0], pair[1]), "as asked"
    other = sum(one != size for one in sizes)
    changed = f"; {other:,} files of another size are scaled and cropped" if other else ""
    return size, f"size {_by(size)} (height × width; {how}){changed}"


def infer_channels(greys: Sequence[bool], asked: int | None, problems: Problems) -> tuple[int, str]:
    """1 or 3 channels, and a note: grey where all files are, unless `asked` says."""
    if asked not in (None, 1, 3):
        problems.add(f"channels must be 1 (grey) or 3 (RGB), came {asked}")
    grey = sum(greys)
    channels = asked or (1 if grey == len(greys) else 3)
    mixed = f"{grey:,} files are grey, {len(greys) - grey:,} have colour"
    return channels, f"{'grey' if channels == 1 else 'RGB'} ({mixed})"


def picture_notes(
    files: Sequence[Facts],
    size: int | Sequence[int] | None,
    channels: int | None,
    problems: Problems,
    largest: int = LARGEST,
) -> tuple[tuple[int, int, int], tuple[str, str]]:
    """The shape (C, H, W) of all images from what `probe` said of each, and notes on it."""
    sizes = [(int(height), int(width)) for width, height, *_ in files]
    (height, width), on_size = infer_size(sizes, size, problems, largest)
    depth, on_colour = infer_channels([bool(grey) for _, _, grey, *_ in files], channels, problems)
    return (depth, height, width), (on_size, on_colour)


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """To mode L or RGB, on white where it is transparent."""
    if image.mode in _SIXTEEN:
        values = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        image = Image.alpha_composite(ground, clear)
    return image.convert("L" if channels == 1 else "RGB")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
