"""Folders of images, recordings and videos: what is inferred, splits, and faulty files."""

from __future__ import annotations

import os
import shutil
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from helpers import media_files as media
from PIL import Image
from scipy.signal import resample_poly

from quintain.contracts import Dataset, Split
from quintain.data.audio.audio_files import probe_audio as probe_sound
from quintain.data.audio.audio_files import read_recording, resampled_length
from quintain.data.image.image_files import probe_image, read_image
from quintain.errors import DataError
from quintain.plugins.dataset.audio_folder import AudioFolder
from quintain.plugins.dataset.image_folder import ImageFolder
from quintain.plugins.dataset.video_folder import VideoFolder
from quintain.testing import DATASET_CHECKS, Case

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Scans are cached in this folder, not in the home of the user."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def sizes(data: Dataset) -> list[int]:
    data.setup("fit")
    return [data.size(split) for split in SPLITS]


def has_note(data: Any, text: str) -> bool:
    return any(text in note for note in data.notes)


FOLDERS: dict[str, tuple[Callable[[Path], Path], type[Any], dict[str, Any]]] = {
    "images": (media.write_images, ImageFolder, {}),
    "recordings": (media.write_recordings, AudioFolder, {}),
    "videos": (media.write_videos, VideoFolder, {}),
    "videos, ragged": (media.write_videos, VideoFolder, {"fps": 25.0, "frames": 11}),
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("memory", [1024, 0])
def test_a_folder_fulfils_the_contract_of_datasets(
    name: str, memory: float, tmp_path: Path
) -> None:
    make_files, kind, settings = FOLDERS[name]
    root = str(make_files(tmp_path / "my files"))
    case = Case.load(lambda: kind(root, memory=memory, **settings), CARD)
    for _, check in DATASET_CHECKS:
        check(case)


def test_images_have_the_pixels_of_the_files(tmp_path: Path) -> None:
    root = media.write_images(tmp_path, 10)
    data = ImageFolder(str(root))
    assert data.spec.shape == (3, 8, 12) and data.spec.classes == ("blue", "red")
    assert sizes(data) == [14, 2, 4]
    assert has_note(data, "the size of 20 of 20") and has_note(data, "20 have colour")
    items = data.items()
    batch = data.batch("test", torch.arange(4))
    for x, y, item in zip(batch.x, batch.y, items["test"], strict=True):
        pixels = torch.from_numpy(np.array(Image.open(item.path))).permute(2, 0, 1)
        assert torch.equal(x, pixels) and item.path.parent.name == data.spec.classes[int(y)]


def test_the_split_depends_on_content_alone(tmp_path: Path) -> None:
    def split(root: Path) -> set[tuple[str, bytes]]:
        items = ImageFolder(str(root)).items()
        return {(s, item.path.read_bytes()) for s in SPLITS for item in items[s]}

    root = media.write_images(tmp_path / "original")
    renamed = tmp_path / "renamed"
    for n, path in enumerate(sorted(root.rglob("*.*g"), reverse=True)):
        target = renamed / path.parent.name / f"{n:03}{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert split(root) == split(renamed)


def test_a_group_is_in_one_split(tmp_path: Path) -> None:
    root = media.write_recordings(tmp_path)
    data = AudioFolder(str(root), group=r"^(s\d)_")
    speakers = {s: {item.path.name[:2] for item in data.items()[s]} for s in SPLITS}
    assert sorted(len(names) for names in speakers.values()) == [1, 1, 2]
    assert len(set.union(*speakers.values())) == 4
    with pytest.raises(DataError, match=r"group='x\(' is not a regular expression"):
        AudioFolder(str(root), group="x(")
    with pytest.raises(DataError, match="is not found in 40 of 40 names"):
        AudioFolder(str(root), group="speaker")


def test_given_splits_are_used_and_a_missing_one_is_taken_from_train(tmp_path: Path) -> None:
    media.write_images(tmp_path / "train", 20)
    for k, name in enumerate(media.COLOURS):
        media.write_image(tmp_path / "Test" / name / "new.png", (9, 9, 9), 70 + k, (12, 8))
    data = ImageFolder(str(tmp_path))
    assert sizes(data) == [36, 4, 2] and has_note(data, "as given, val from train")
    shutil.copy(tmp_path / "train/red/s0_000.png", tmp_path / "Test/red/copy.png")
    assert has_note(ImageFolder(str(tmp_path)), "1 of 3 samples of test occur in an earlier split")
    (tmp_path / "Test/green").mkdir()
    media.write_image(tmp_path / "Test/green/a.png", (0, 200, 0), 1, (12, 8))
    with pytest.raises(DataError, match="classes of test that train lacks: green"):
        ImageFolder(str(tmp_path))


def test_copies_are_in_one_split_and_noted(tmp_path: Path) -> None:
    root = media.write_images(tmp_path)
    for path in sorted(root.glob("red/*"))[:6]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    shutil.copy(root / "red/s0_000.png", root / "blue/wrong.png")
    data = ImageFolder(str(root))
    assert has_note(data, "7 of 47 images are copies of others")
    assert has_note(data, "1 images are in several classes with the same content")
    assert not has_note(data, "earlier split")


def test_images_of_all_modes_become_bytes(tmp_path: Path) -> None:
    def save(name: str, image: Image.Image, **options: Any) -> Path:
        image.save(tmp_path / name, **options)
        return tmp_path / name

    transparent = np.zeros((4, 6, 4), np.uint8)
    transparent[:, :3] = (10, 20, 30, 255)  # the right half is transparent
    x = read_image(save("transparent.png", Image.fromarray(transparent)), (4, 6), 3)
    assert x[:, 0, 0].tolist() == [10, 20, 30] and x[:, 0, 5].tolist() == [255] * 3

    sixteen_bits = np.full((4, 6), 257 * 77, np.uint16)
    path = save("sixteen_bits.png", Image.fromarray(sixteen_bits))
    assert probe_image(path)[:3] == (6, 4, 1) and (read_image(path, (4, 6), 1) == 77).all()

    rotated = np.zeros((4, 6, 3), np.uint8)
    rotated[0] = 255  # EXIF 6: the top row is the right column
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save("rotated.jpg", Image.fromarray(rotated), exif=exif, quality=100, subsampling=0)
    assert probe_image(path)[:2] == (4, 6)
    x = read_image(path, (6, 4), 3)
    assert (x[:, :, 3] > 200).all() and (x[:, :, 0] < 50).all()

    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    x = read_image(save("wide.png", Image.fromarray(wide)), (10, 10), 1)
    assert x.shape == (1, 10, 10) and (x == 200).all()  # the middle


def test_the_size_of_large_images_is_reduced_and_noted(tmp_path: Path) -> None:
    for k, name in enumerate("ab"):
        for n in range(4):
            media.write_image(tmp_path / name / f"{n}.jpg", (90, 90, 90), 10 * k + n, (400, 200))
    media.write_image(tmp_path / "a" / "other.jpg", (90, 90, 90), 99, (50, 50))
    data = ImageFolder(str(tmp_path))
    assert data.spec.shape == (3, 48, 96)
    assert has_note(data, "200×400, the size of 8 of 9, reduced to 96") and has_note(
        data, "9 files"
    )
    assert ImageFolder(str(tmp_path), size=[10, 20], channels=1).spec.shape == (1, 10, 20)
    with pytest.raises(DataError, match=r"size must be .* got 0\n.*channels must be"):
        ImageFolder(str(tmp_path), size=0, channels=2)


def test_mixed_rates_and_channels_are_converted_and_noted_or_refused(tmp_path: Path) -> None:
    root = media.write_recordings(tmp_path)
    media.write_recording(root / "low" / "fast.wav", 300, 1, rate=16000, samples=3200)
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 2))
    soundfile.write(root / "low" / "stereo.wav", stereo, 8000, subtype="FLOAT")
    data = AudioFolder(str(root))
    assert has_note(data, "sample rate 8,000 Hz (of 41 of 42 recordings); resampled or averaged:")
    assert has_note(data, "1 of 16,000 Hz, 1 of several channels")
    mean = read_recording(root / "low" / "stereo.wav", 8000, 5000)
    expected = np.round(stereo.astype(np.float32).mean(axis=1) * 32768)
    assert np.abs(mean.numpy() - expected).max() <= 1
    with pytest.raises(DataError, match=r"are not 8,000 Hz mono: 1 of 16,000 Hz, 1 of several"):
        AudioFolder(str(root), others="refuse")


def test_a_resampled_tone_is_unchanged(tmp_path: Path) -> None:
    rate, samples = 22050, 22050
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    soundfile.write(tmp_path / "tone.flac", tone, rate)
    actual = read_recording(tmp_path / "tone.flac", 8000, 10**6).numpy() / 32768
    assert len(actual) == resampled_length(probe_sound(tmp_path / "tone.flac"), 8000, 10**6) == 8000
    expected = resample_poly(tone, 160, 441)
    assert np.abs(actual - expected)[100:-100].max() < 0.01
    cut = read_recording(tmp_path / "tone.flac", 8000, 1234)
    assert len(cut) == 1234 and np.abs(cut.numpy() / 32768 - actual[:1234])[:-20].max() < 1e-4


def test_long_recordings_are_cut_and_noted(tmp_path: Path) -> None:
    root = media.write_recordings(tmp_path)
    data = AudioFolder(str(root), seconds=0.16)
    assert data.spec.shape == (1280,) and has_note(
        data, "at most 0.16 s of 40 recordings; 34 are longer and cut"
    )
    with pytest.raises(DataError, match="seconds must be a positive number, got -1"):
        AudioFolder(str(root), seconds=-1)


def test_frames_are_spread_over_a_clip(tmp_path: Path) -> None:
    root = media.write_videos(tmp_path, 6)
    data = VideoFolder(str(root), frames=4, channels=3)
    data.setup("fit")
    item = data.items()["train"][0]
    with av.open(str(item.path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    wanted = [int((part + 0.5) * len(frames) / 4) for part in range(4)]
    actual = data.batch("train", torch.tensor([0])).x[0].permute(0, 2, 3, 1)
    assert np.array_equal(actual.numpy(), np.stack([frames[n] for n in wanted]))


def test_all_problems_are_reported_in_one_message(tmp_path: Path) -> None:
    root = media.write_images(tmp_path)
    (root / "red" / "empty.png").touch()
    (root / "red" / "text.png").write_text("no picture")
    content = (root / "red" / "s0_000.png").read_bytes()
    (root / "red" / "half.png").write_bytes(content[: len(content) // 2])
    (root / "red" / "nowhere.png").symlink_to(root / "gone.png")
    (root / "red" / "loop").symlink_to(root)
    media.write_image(root / "single" / "only.png", (1, 2, 3), 1, (12, 8))
    media.write_image(root / "loose.png", (1, 2, 3), 2, (12, 8))
    with pytest.raises(DataError) as error:
        ImageFolder(str(root), size=-3)
    lines = str(error.value).splitlines()
    expected = (
        "loop is a link to a folder that contains it: remove it",
        "1 images are in",
        "4 of 45 images (8.89 %) cannot be used, more than bad_share=0.01 allows; bad_share=0.09 ",
        "classes with one sample (equal ones count once) cannot be split: 'single'",
        "size must be a side or [height, width]",
    )
    assert len(lines) == len(expected)
    for text in expected:
        assert any(text in line for line in lines), text
    (unusable,) = (line for line in lines if "cannot be used" in line)
    for text in ("empty.png is empty", "text.png is not an image", "half.png", "nowhere.png"):
        assert text in unusable


def test_a_few_bad_files_are_left_out_and_named(tmp_path: Path) -> None:
    root = media.write_images(tmp_path)
    (root / "blue" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    data = ImageFolder(str(root), bad_share=0.05)
    assert sum(sizes(data)) == 40 and has_note(
        data, "1 of 41 images left out: blue/bad.jpg is not an image"
    )


def test_truncated_recordings_and_videos_are_reported(tmp_path: Path) -> None:
    recordings, videos = (
        media.write_recordings(tmp_path / "s", 6),
        media.write_videos(tmp_path / "v", 4),
    )
    for path in (recordings / "low" / "s1_001.flac", videos / "left" / "s1_001.mp4"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    soundfile.write(recordings / "low" / "silent.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match=r"2 of 13 recordings .*s1_001.flac.*silent.wav has no sa"):
        AudioFolder(str(recordings))
    with pytest.raises(DataError, match=r"1 of 8 videos \(12.5 %\) cannot be used.*s1_001.mp4"):
        VideoFolder(str(videos))


def test_folders_without_class_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; expected a folder"):
        ImageFolder(str(tmp_path / "absent"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; expected a folder"):
        ImageFolder(str(tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no images; found nothing\n.*no usable images"):
        ImageFolder(str(tmp_path / "empty"))
    media.write_recordings(tmp_path / "sounds", 3)
    with pytest.raises(DataError, match=r"has no images; found 2 .flac, 2 .ogg, 2 .wav"):
        ImageFolder(str(tmp_path / "sounds"))
    shutil.rmtree(tmp_path / "sounds" / "low")
    with pytest.raises(
        DataError, match=r"there is one class folder \(high\); expected two or more"
    ):
        AudioFolder(str(tmp_path / "sounds"))


def test_links_out_of_the_folder_and_unusual_names_are_accepted(tmp_path: Path) -> None:
    elsewhere = media.write_images(tmp_path / "elsewhere")
    root = tmp_path / "mine"
    root.mkdir()
    (root / "röt ünd\n[x] %s").symlink_to(elsewhere / "red")
    unusual = os.fsdecode(b"bl\xffue")  # not UTF-8
    shutil.copytree(elsewhere / "blue", root / unusual)
    (root / unusual / "a b ' \".png").symlink_to(elsewhere / "red" / "s0_000.png")
    (root / ".hidden").mkdir()
    data = ImageFolder(str(root))
    assert data.spec.classes == ("bl\\xffue", "röt ünd\\n[x] %s")
    assert sum(sizes(data)) == 41


def test_scans_are_cached_until_a_file_changes(
    separate_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = media.write_images(tmp_path, 10)
    before = ImageFolder(str(root)).items()
    (cache_file,) = (separate_cache / "quintain" / "scans").iterdir()
    opened: list[Path] = []
    original_open = Image.open

    def open_image(path: Path, **options: Any) -> Image.Image:
        opened.append(path)
        return original_open(path, **options)

    monkeypatch.setattr(Image, "open", open_image)
    assert ImageFolder(str(root)).items() == before and not opened
    media.write_image(root / "red" / "s0_000.png", (0, 0, 0), 5, (12, 8))
    ImageFolder(str(root))
    assert opened == [root / "red" / "s0_000.png"]
    cache_file.write_text("[]")
    ImageFolder(str(root))
    assert len(opened) == 21


def test_a_failure_is_not_cached(
    separate_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = media.write_images(tmp_path, 10)
    expected = sizes(ImageFolder(str(root)))
    shutil.rmtree(separate_cache / "quintain" / "scans")
    errors: list[type[Exception]] = [OSError]

    def fail(path: Path, **options: Any) -> Image.Image:
        raise errors[0]("not now")

    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", fail)
        with pytest.raises(DataError, match="no usable images"):
            ImageFolder(str(root))
        for errors[0] in (MemoryError, ImportError):
            with pytest.raises(errors[0], match="not now"):
                ImageFolder(str(root))
    assert sizes(ImageFolder(str(root))) == expected


def test_one_class_in_two_unicode_forms_of_given_splits(tmp_path: Path) -> None:
    for k, (split, form) in enumerate((("train", "NFC"), ("val", "NFC"), ("test", "NFD"))):
        for n, name in enumerate(("café", "zoë")):
            folder = tmp_path / split / unicodedata.normalize(form, name)
            for m in range(4):
                media.write_image(folder / f"{m}.png", (9, 99 * n, 9), 100 * k + 10 * n + m, (8, 8))
    data = ImageFolder(str(tmp_path))
    assert data.spec.classes == ("café", "zoë") and sizes(data) == [8, 8, 8]
    assert data.spec.classes == tuple(unicodedata.normalize("NFC", c) for c in data.spec.classes)


def test_small_classes_are_left_out_if_the_user_says_so(tmp_path: Path) -> None:
    """Equal files count once: `twins` has two files of one content."""
    root = media.write_images(tmp_path, 10)
    for name, count in (("single", 1), ("twins", 2), ("pair", 2)):
        for k in range(count):
            seed = {"single": 1, "twins": 2}.get(name, 3 + k)
            media.write_image(root / name / f"{k}.png", (80, 80, 80), seed, (12, 8))
    with pytest.raises(DataError, match=r"cannot be split: 'single', 'twins'.*min_per_class=2"):
        ImageFolder(str(root))
    data = ImageFolder(str(root), min_per_class=2)
    assert data.spec.classes == ("blue", "pair", "red") and sum(sizes(data)) == 22
    assert has_note(
        data,
        "2 classes with fewer than min_per_class=2 different samples, left out with 3 samples: "
        "'single' (1), 'twins' (1)",
    )
    assert has_note(data, "val lacks 'pair'")
    assert ImageFolder(str(root), min_per_class=3).spec.classes == ("blue", "red")
    with pytest.raises(DataError, match="min_per_class must be 1 or more, got 0"):
        ImageFolder(str(root), min_per_class=0)
    with pytest.raises(DataError, match="there is no class folder; expected two or more"):
        ImageFolder(str(root), min_per_class=99)


def test_small_classes_of_given_splits_are_left_out_of_all_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        media.write_images(tmp_path / split, 4)
    media.write_image(tmp_path / "train/rare/0.png", (1, 1, 1), 1, (12, 8))
    media.write_image(tmp_path / "test/rare/1.png", (1, 1, 1), 2, (12, 8))
    assert has_note(ImageFolder(str(tmp_path)), "val lacks 'rare'")
    data = ImageFolder(str(tmp_path), min_per_class=2)
    assert data.spec.classes == ("blue", "red") and sizes(data) == [8, 8, 8]


@pytest.mark.parametrize("memory", [1024, 0])
def test_a_file_replaced_after_the_scan_is_refused(memory: float, tmp_path: Path) -> None:
    """Size and modification time are equal, and both files can be decoded."""
    root = media.write_images(tmp_path, 10)
    data = ImageFolder(str(root), memory=memory)
    replaced, other = (data.items()["train"][k].path for k in (0, 1))
    replaced = next(i.path for i in data.items()["train"] if i.path.suffix == other.suffix)
    status = replaced.stat()
    shutil.copy(next(p for p in root.rglob(f"*{other.suffix}") if p != replaced), replaced)
    os.utime(replaced, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match=f"{replaced.name} has changed since the data were scanned"):
        data.setup()
        for split in SPLITS:
            data.batch(split, torch.arange(data.size(split)))


def test_the_fingerprint_and_the_split_are_of_one_reading(tmp_path: Path) -> None:
    root = media.write_images(tmp_path, 10)
    before = ImageFolder(str(root))
    before.setup()
    fingerprint = before.fingerprint()
    changed = root / "red" / "s0_000.png"
    times = changed.stat().st_atime_ns, changed.stat().st_mtime_ns
    time.sleep(0.02)
    media.write_image(changed, (0, 0, 0), 5, (12, 8))
    os.utime(changed, ns=times)
    after = ImageFolder(str(root))
    after.setup()
    assert after.fingerprint() != fingerprint == before.fingerprint()


def test_a_pipe_among_the_files_is_named(tmp_path: Path) -> None:
    root = media.write_images(tmp_path, 5)
    os.mkfifo(root / "red" / "pipe.png")
    os.mkfifo(root / "red" / "pipe")
    with pytest.raises(DataError, match=r"red/pipe.png cannot be opened .it is not a regular file"):
        ImageFolder(str(root))


def test_classes_with_similar_names_are_noted(tmp_path: Path) -> None:
    for k, name in enumerate(("Red fox", "red_fox", "dog")):
        for n in range(5):
            media.write_image(tmp_path / name / f"{n}.png", (50 * k, 9, 9), 10 * k + n, (8, 8))
    data = ImageFolder(str(tmp_path))
    assert has_note(data, "classes with similar names: 'Red fox' and 'red_fox'")
