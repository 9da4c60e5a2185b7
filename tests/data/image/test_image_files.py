"""Which files are read as images, and what is said about the others."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import media_files as media
from PIL import Image

from quintain.data.image.image_files import IMAGE_FILES
from quintain.errors import DataError
from quintain.plugins.dataset.image_captions import ImageCaptions
from quintain.plugins.dataset.image_folder import ImageFolder

HEIC = b"\0\0\0\x18ftypheic" + bytes(200)


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def encode(seed: int, kind: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    "ending", [".jfif", ".jpe", ".JPG", ".webp", ".tga", ".ico", ".jp2", ".dib", ".apng", ".ppm"]
)
def test_whatever_pillow_opens_is_read(ending: str, tmp_path: Path) -> None:
    assert ending.lower() in IMAGE_FILES.extensions
    media.write_images(tmp_path, 5)
    kind = Image.registered_extensions()[ending.lower()]
    (tmp_path / "red" / f"new{ending}").write_bytes(encode(1, kind))
    data = ImageFolder(str(tmp_path))
    assert any("of 11" in note for note in data.notes)


def test_formats_that_need_other_programs_are_not_opened() -> None:
    assert not IMAGE_FILES.extensions & {".eps", ".ps", ".pdf", ".wmf", ".h5", ".mpg", ".heic"}


def test_files_are_recognised_by_content_or_counted_by_ending(tmp_path: Path) -> None:
    """A picture without an ending is read; six .heic are passed over, in a note."""
    root = media.write_images(tmp_path, 10)
    for k in range(3):
        (root / "red" / f"download{k}").write_bytes(encode(k, "JPEG"))
        (root / "red" / f"a.jpg_large{k}").write_bytes(encode(10 + k, "PNG"))
    for k in range(6):
        (root / "blue" / f"{k}.heic").write_bytes(HEIC)
    (root / "blue" / "really a jpeg.heic").write_bytes(encode(99, "JPEG"))
    (root / "blue" / "notes.txt").write_text("not an image")
    (root / "blue" / "empty").touch()
    data = ImageFolder(str(root))
    recognised = (
        "images recognised by their content: 3 without an ending, 1 .heic, 1 .jpg_large0, "
        "1 .jpg_large1, 1 .jpg_large2"
    )
    assert recognised in data.notes
    assert "passed over: 6 .heic, 1 without an ending, 1 .txt" in data.notes
    data.setup()
    assert sum(map(data.size, ("train", "val", "test"))) == 27


def test_the_first_frame_is_read_and_said(tmp_path: Path) -> None:
    root = media.write_images(tmp_path, 5)
    frames = [Image.new("L", (12, 8), grey) for grey in (200, 100, 0)]
    for name in ("a.gif", "b.tif", "c.webp"):
        frames[0].save(root / "red" / name, save_all=True, append_images=frames[1:], lossless=True)
    data = ImageFolder(str(root))
    assert "3 files have several images or frames; the first is read" in data.notes
    data.setup()
    items = [item for split in data.items().values() for item in split]
    read = [data.read(item) for item in items if item.path.stem in "abc"]
    assert len(read) == 3 and all((x == 200).all() for x in read)


def test_a_table_finds_files_in_another_unicode_form_and_names_those_it_cannot_read(
    tmp_path: Path,
) -> None:
    rows = ["file,caption"]
    for k in range(20):
        name = f"Zoë {k}.png"
        media.write_image(
            tmp_path / "images" / unicodedata.normalize("NFD", name), (k, 9, 9), k, (8, 8)
        )
        rows.append(f"{unicodedata.normalize('NFC', name)},picture {k % 3}")
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    (tmp_path / "._captions.csv").write_text("of macOS")
    data = ImageCaptions(str(tmp_path))
    data.setup()
    assert sum(map(data.size, ("train", "val", "test"))) == 20
    (tmp_path / "images" / "phone.heic").write_bytes(HEIC)
    (tmp_path / "captions.csv").write_text("\n".join([*rows, "phone.heic,a phone"]))
    expected = r"phone.heic \(line 22\) is not an image of a known format"
    with pytest.raises(DataError, match=expected):
        ImageCaptions(str(tmp_path))


def test_pixels_are_not_scaled_where_the_range_is_full(tmp_path: Path) -> None:
    """Bytes are left as they are, bit for bit."""
    root = media.write_images(tmp_path, 5)
    data = ImageFolder(str(root))
    data.setup()
    item = next(item for item in data.items()["train"] if item.path.suffix == ".png")
    expected = torch.from_numpy(np.array(Image.open(item.path))).permute(2, 0, 1)
    assert torch.equal(data.read(item), expected)
