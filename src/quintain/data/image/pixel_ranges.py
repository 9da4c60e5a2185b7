"""Which pixel values become black and white, inferred from all images of a set or set by the user.

Files of more than 8 bits do not say which of their values are used: a camera of 12 bits writes
values up to 4,095 into 16 bits, a computed tomography has negative ones, a mask has 0 and 1. So
the range is inferred once for all files of a set, from the smallest and the largest value in them.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image, TiffImagePlugin

from quintain.data.files.problems import Problems
from quintain.errors import DataError

Range = tuple[float, float]
Values = tuple[float, float, float]  # smallest and largest of a file, and its 99th percentile
BITS = (1, 8, 10, 12, 14, 16)  # of unsigned numbers; the fewest that hold all values are chosen
DARK = 64  # of 255; sets without a brighter pixel are reported
_INTEGER_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_BYTE_MODES = ("L", "LA", "RGB", "RGBA", "RGBX")


class Depth(enum.IntEnum):
    """How the pixels of a file are stored; part of the metadata of an image."""

    BYTES = 0
    INTEGERS = 1  # of more than 8 bits, in one channel
    FLOATS = 2
    FIXED = 3  # the format defines black and white: 1 bit, palette, CMYK, YCbCr
    UPPER_BYTES = 4  # colours of 16 bits, of which Pillow reads the upper 8


DEFAULT_RANGES: Mapping[Depth, Range] = {
    Depth.BYTES: (0, 255),
    Depth.INTEGERS: (0, 65535),
    Depth.FLOATS: (0, 1),
}
_NAMES = {
    Depth.BYTES: "images of 8 bits",
    Depth.INTEGERS: "images of 16 or 32 bits",
    Depth.FLOATS: "images of floats",
}


def find_depth(image: Image.Image) -> Depth:
    """Return the depth of an opened image; to be called before its pixels are loaded.

    Raises:
        DataError: Pillow cannot convert such pixels correctly.
    """
    _refuse_unsupported(image)
    if image.mode == "F":
        return Depth.FLOATS
    if image.mode in _INTEGER_MODES:
        return Depth.INTEGERS
    if image.mode not in _BYTE_MODES:
        return Depth.FIXED
    return Depth.UPPER_BYTES if ";16" in _raw_mode(image) else Depth.BYTES


def summarize_values(image: Image.Image, depth: Depth) -> Values:
    """Return the smallest and the largest value of all pixels, and their 99th percentile.

    Alpha is ignored. The percentile shows whether single bright pixels make an image dark; it is
    computed for images of more than 8 bits, else it is the largest value.

    Raises:
        DataError: a value is not finite, or too large for Pillow.
    """
    if depth is Depth.FIXED:
        return 0, 255, 255
    values = np.asarray(image)
    if depth in (Depth.BYTES, Depth.UPPER_BYTES):
        is_colour = [band not in "AX" for band in image.getbands()]
        values = values[..., is_colour] if values.ndim == 3 else values
    if depth is Depth.FLOATS and (count := int((~np.isfinite(values)).sum())):
        raise DataError(f"has {count:,} pixels that are NaN or infinite")
    low, high = float(values.min()), float(values.max())
    if low < 0 and _is_unsigned_tiff(image):
        raise DataError("has values above 2,147,483,647, the largest that Pillow reads")
    is_deep = depth in (Depth.INTEGERS, Depth.FLOATS)
    return low, high, float(np.percentile(values, 99)) if is_deep else high


def infer_ranges(
    files: Sequence[tuple[Depth, Values]],
    chosen: Sequence[float] | None,
    problems: Problems,
) -> tuple[dict[Depth, Range], list[str]]:
    """Return the values that become 0 and 255 for each depth, and notes.

    Args:
        files: depth and values of each file.
        chosen: the user's range [black, white]; None: inferred for each depth.
        problems: collects an invalid range, and files that would become nearly black.
    """
    ranges, notes = dict(DEFAULT_RANGES), list[str]()
    if chosen is not None and not _is_range(chosen):
        problems.add(f"range must be [black, white] with black < white, got {chosen}")
        chosen = None
    for depth, name in _NAMES.items():
        values = [file_values for file_depth, file_values in files if file_depth is depth]
        if not values:
            continue
        if chosen is None:
            ranges[depth] = _infer_range(depth, values, problems)
            notes += _describe_inferred(depth, values, ranges[depth])
            continue
        black, white = ranges[depth] = (chosen[0], chosen[1])
        outside = sum(low < black or high > white for low, high, _ in values)
        clipped = f"; {outside:,} have values outside, which are clipped" if outside else ""
        notes.append(
            f"{len(values):,} {name}: values {black:g} to {white:g} become 0 to 255 (as set)"
            f"{clipped}"
        )
    notes += _describe_others(files, chosen, problems)
    return ranges, notes


def scale_to_bytes(image: Image.Image, depth: Depth, ranges: Mapping[Depth, Range]) -> Image.Image:
    """Scale pixels so that their range becomes 0 to 255.

    Args:
        image: integers or floats in one channel, or an image of mode L or RGB.
        depth: of the file.
        ranges: see `infer_ranges`.
    """
    black, white = ranges.get(depth, (0, 255))
    if (black, white) == (0, 255) and image.mode in ("L", "RGB"):
        return image
    scaled = (np.asarray(image).astype(np.float64) - black) * (255 / (white - black))
    return Image.fromarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8))


def _refuse_unsupported(image: Image.Image) -> None:
    if image.mode in ("LAB", "HSV"):
        raise DataError(f"has colours of mode {image.mode}: convert it to RGB")
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags, is_deep = image.tag_v2, image.mode == "F" or image.mode in _INTEGER_MODES
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0 and is_deep:
        raise DataError("stores white as 0 with more than 8 bits, which Pillow does not invert")
    if 2 in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()) and not is_deep:
        raise DataError("has signed pixels of 8 bits, which Pillow reads as unsigned ones")


def _is_unsigned_tiff(image: Image.Image) -> bool:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return 1 in image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,))


def _raw_mode(image: Image.Image) -> str:
    """Return Pillow's name for the layout of the pixels in the file, such as `RGB;16B`."""
    for _, _, _, arguments in getattr(image, "tile", ()):
        return str(arguments[0] if isinstance(arguments, tuple) else arguments)
    return ""


def _is_range(chosen: Sequence[float]) -> bool:
    return len(chosen) == 2 and all(map(math.isfinite, chosen)) and chosen[0] < chosen[1]


def _infer_range(depth: Depth, values: Sequence[Values], problems: Problems) -> Range:
    low, high = min(low for low, *_ in values), max(high for _, high, _ in values)
    if depth is Depth.BYTES:
        return (0, 1) if high == 1 else (0, 255)
    if depth is Depth.INTEGERS and low >= 0:
        for bits in BITS:
            if high < 2**bits:
                return 0, 2**bits - 1
    if depth is Depth.FLOATS:
        for black, white in ((0, 1), (-1, 1), (0, 255)):
            is_inside = black <= low and high <= white and (black < 0) == (low < 0)
            if is_inside and max(high, -low) > white / 2:
                return black, white
    if low == high:
        problems.add(f"all pixels of {len(values):,} {_NAMES[depth]} have the value {low:g}")
        return low, low + 1
    return (0 if 0 <= low < high / 2 else low), high


def _describe_inferred(depth: Depth, values: Sequence[Values], range_: Range) -> Iterator[str]:
    """Yield notes on the range, unless it is that of bytes, and on images that remain dark."""
    (black, white), name = range_, f"{len(values):,} {_NAMES[depth]}"
    low, high = min(low for low, *_ in values), max(high for _, high, _ in values)
    if depth is not Depth.BYTES or range_ != (0, 255):
        yield (
            f"{name} with values {low:g} to {high:g}: {black:g} to {white:g} become 0 to 255 "
            f"(inferred; range=[{black:g},{white:g}] sets it)"
        )
    bright = max(percentile for *_, percentile in values)
    brightest = 255 * (bright - black) / (white - black)
    if brightest < DARK and bright > low:
        share = "all pixels" if bright == high else "99 % of the pixels"
        yield (
            f"{name} are dark, {share} are at most {brightest:.0f} of 255: is "
            f"range=[{low:g},{bright:g}] meant?"
        )
        return
    limit = 1 if depth is Depth.BYTES else black + (white - black) / 16
    dark = sum(file_low < percentile <= limit for file_low, _, percentile in values)
    if dark and white > 1:
        yield f"{dark:,} of {name} have hardly a value above {limit:g}: they become nearly black"


def _describe_others(
    files: Sequence[tuple[Depth, Values]],
    chosen: Sequence[float] | None,
    problems: Problems,
) -> Iterator[str]:
    """Yield notes on depths to which no range applies."""
    fixed = sum(depth is Depth.FIXED for depth, _ in files)
    if fixed and chosen is not None:
        yield f"{fixed:,} images of 1 bit, a palette, CMYK or YCbCr: range does not apply"
    upper = [high for depth, (_, high, _) in files if depth is Depth.UPPER_BYTES]
    if upper and (chosen is not None or max(upper) < DARK):
        problems.add(
            f"{len(upper):,} images have colours of 16 bits with values below "
            f"{256 * (max(upper) + 1):,.0f}; Pillow reads only the upper 8 bits of them, and range "
            "does not apply: convert them to 8 bits"
        )
    elif upper:
        yield f"{len(upper):,} images have colours of 16 bits, of which the upper 8 are read"
