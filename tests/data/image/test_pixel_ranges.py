"""Pixels of all depths: their range is inferred from the set and said, set, or refused by name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from quintain.data.image.image_files import probe_image
from quintain.errors import DataError
from quintain.plugins.dataset.image_folder import ImageFolder

Pixels = np.ndarray[Any, Any]
RAMP = np.tile(np.linspace(0, 1, 16), (16, 1))


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write_set(root: Path, make: Callable[[Pixels], Image.Image], ending: str = "png") -> Path:
    """Write two classes of five ramps with some noise: from left to right, and upwards."""
    for label, ramp in (("across", RAMP), ("up", RAMP.T)):
        for k in range(5):
            noise = np.random.default_rng(k).uniform(0, 0.1, ramp.shape)
            noise[(ramp == 0) | (ramp == 1)] = 0  # so that the values are from 0 to 1
            path = root / label / f"{k}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            make(np.clip(ramp + noise, 0, 1)).save(path)
    return root


def to_image(low: float, high: float, dtype: type) -> Callable[[Pixels], Image.Image]:
    def make(pixels: Pixels) -> Image.Image:
        values = low + (high - low) * pixels
        return Image.fromarray((values if dtype is np.float32 else values.round()).astype(dtype))

    return make


def to_mask(pixels: Pixels) -> Image.Image:
    return Image.fromarray((pixels > 0.5).astype(np.uint8))


SETS: dict[str, tuple[Callable[[Pixels], Image.Image], str, str]] = {
    "16 bits": (to_image(0, 65535, np.uint16), "png", "0 to 65535 become 0 to 255 (inferred"),
    "12 bits": (to_image(0, 4095, np.uint16), "tif", "0 to 4095 become 0 to 255 (inferred"),
    "12 bits in 32": (to_image(0, 4095, np.int32), "tif", "0 to 4095 become 0 to 255 (inferred"),
    "10 bits": (to_image(0, 1023, np.uint16), "png", "0 to 1023 become 0 to 255 (inferred"),
    "8 bits in 16": (to_image(0, 255, np.uint16), "png", "0 to 255 become 0 to 255 (inferred"),
    "signed": (to_image(-1000, 2000, np.int32), "tif", "-1000 to 2000 become 0 to 255 (inferred"),
    "large": (to_image(0, 200000, np.int32), "tif", "0 to 200000 become 0 to 255 (inferred"),
    "floats": (to_image(0, 1, np.float32), "tif", "0 to 1 become 0 to 255 (inferred"),
    "small floats": (to_image(0, 1e-5, np.float32), "tif", "0 to 1e-05 become 0 to 255 (inferred"),
    "floats of bytes": (to_image(0, 255, np.float32), "tif", "0 to 255 become 0 to 255 (inferred"),
    "signed floats": (to_image(-1, 1, np.float32), "tif", "-1 to 1 become 0 to 255 (inferred"),
}


@pytest.mark.parametrize("name", SETS)
def test_the_range_of_a_set_is_inferred_and_said(name: str, tmp_path: Path) -> None:
    make, ending, note = SETS[name]
    data = ImageFolder(str(write_set(tmp_path / "deep", make, ending)))
    expected = ImageFolder(str(write_set(tmp_path / "bytes", to_image(0, 255, np.uint8))))
    assert any(note in text for text in data.notes), data.notes
    assert not any("inferred; range" in text for text in expected.notes)
    for dataset in (data, expected):
        dataset.setup()
    pixels, reference = (
        {tuple(item.path.parts[-2:]): dataset.read(item) for split in dataset.items().values()
         for item in split}
        for dataset in (data, expected)
    )  # fmt: skip
    assert len(pixels) == 10
    for (label, file), x in pixels.items():
        y = reference[label, f"{file.split('.')[0]}.png"]
        assert (x.int() - y.int()).abs().max() <= 1 and x.max() == 255


def test_masks_of_0_and_1_are_black_and_white(tmp_path: Path) -> None:
    data = ImageFolder(str(write_set(tmp_path, to_mask)))
    data.setup()
    assert data.batch("train", torch.arange(4)).x.unique().tolist() == [0, 255]
    assert any("with values 0 to 1: 0 to 1 become 0 to 255 (inferred" in n for n in data.notes)


def test_labels_of_few_values_are_reported_as_dark(tmp_path: Path) -> None:
    root = str(write_set(tmp_path, to_image(0, 20, np.uint8)))
    notes = ImageFolder(root).notes
    assert (
        "10 images of 8 bits are dark, all pixels are at most 20 of 255: is range=[0,20] meant?"
        in notes
    )
    data = ImageFolder(root, range=[0, 10])
    data.setup()
    assert data.batch("train", torch.arange(4)).x.max() == 255
    expected = "10 images of 8 bits: values 0 to 10 become 0 to 255 (as set); 10 have"
    assert any(note.startswith(expected) for note in data.notes)
    with pytest.raises(DataError, match=r"range must be \[black, white\] .* got \[3\]"):
        ImageFolder(root, range=[3])


def test_files_of_12_bits_among_those_of_16_are_counted(tmp_path: Path) -> None:
    write_set(tmp_path, to_image(0, 65535, np.uint16))
    to_image(0, 4000, np.uint16)(RAMP).save(tmp_path / "up" / "dark.png")
    notes = ImageFolder(str(tmp_path)).notes
    expected = "1 of 11 images of 16 or 32 bits have hardly a value above 4095.94: they"
    assert any(note.startswith(expected) for note in notes)


def test_single_hot_pixels_do_not_darken_a_set_in_silence(tmp_path: Path) -> None:
    def make(pixels: Pixels) -> Image.Image:
        values = (4095 * np.kron(pixels, np.ones((4, 4)))).astype(np.uint16)
        values[3, 5] = 65535
        return Image.fromarray(values)

    notes = ImageFolder(str(write_set(tmp_path, make))).notes
    expected = "10 images of 16 or 32 bits are dark, 99 % of the pixels are at most 16 of 255"
    assert any(note.startswith(expected) for note in notes)


def test_colours_of_16_bits_with_12_used_are_refused(tmp_path: Path) -> None:
    """Pillow reads the upper 8 bits only; written here by hand, since Pillow cannot write them."""

    def write_png(path: Path, values: Pixels) -> None:
        def chunk(kind: bytes, content: bytes) -> bytes:
            crc = zlib.crc32(kind + content)
            return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

        height, width, _ = values.shape
        header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b"")
        )

    for k in range(10):
        colours = np.random.default_rng(k).integers(0, 4096, (8, 8, 3))
        write_png(tmp_path / "deep" / "ab"[k % 2] / f"{k}.png", colours)
        write_png(tmp_path / "full" / "ab"[k % 2] / f"{k}.png", colours * 16)
    with pytest.raises(DataError, match=r"10 images have colours of 16 bits .* below 4,096"):
        ImageFolder(str(tmp_path / "deep"))
    notes = ImageFolder(str(tmp_path / "full")).notes
    assert "10 images have colours of 16 bits, of which the upper 8 are read" in notes


def test_pixels_that_pillow_misreads_are_refused(tmp_path: Path) -> None:
    def save(image: Image.Image, **tags: Any) -> Path:
        image.save(tmp_path / "a.tif", **tags)
        return tmp_path / "a.tif"

    floats = RAMP.astype(np.float32)
    floats[0, 0] = np.nan
    with pytest.raises(DataError, match="has 1 pixels that are NaN or infinite"):
        probe_image(save(Image.fromarray(floats)))
    with pytest.raises(DataError, match="has colours of mode LAB: convert it to RGB"):
        probe_image(save(Image.new("LAB", (4, 4))))
    signed = Image.fromarray(np.full((4, 4), 200, np.uint8))
    with pytest.raises(DataError, match="has signed pixels of 8 bits"):
        probe_image(save(signed, tiffinfo={339: 2}))
    inverted = Image.fromarray(np.full((4, 4), 20000, np.uint16))
    with pytest.raises(DataError, match="stores white as 0 with more than 8 bits"):
        probe_image(save(inverted, tiffinfo={262: 0}))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "PA"])
def test_images_of_other_modes_keep_their_brightness(mode: str, tmp_path: Path) -> None:
    def make(pixels: Pixels) -> Image.Image:
        grey = Image.fromarray((255 * pixels).astype(np.uint8))
        if mode == "PA":
            return grey.convert("P").convert("PA")
        return grey.convert(mode)

    ending = {"CMYK": "jpg", "YCbCr": "jpg", "PA": "tif"}.get(mode, "png")
    data = ImageFolder(str(write_set(tmp_path, make, ending)), channels=1)
    data.setup()
    x = data.batch("train", torch.arange(data.size("train"))).x.float()
    assert 120 < x.mean() < 150 and x.max() > 240 and x.min() < 30
