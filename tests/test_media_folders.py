"""The user's own folders of images, recordings and videos: inferred, split, and found faulty."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import media_files as media
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from scipy.signal import resample_poly

from quintain.contracts import Dataset, Split
from quintain.kit.files.download import DataError
from quintain.kit.media.clips import Sampling
from quintain.kit.media.pictures import probe, read_image
from quintain.kit.media.recordings import probe as probe_sound
from quintain.kit.media.recordings import read_recording, steps
from quintain.plugins.dataset.audio_folder import AudioFolder
from quintain.plugins.dataset.image_folder import ImageFolder
from quintain.plugins.dataset.video_folder import VideoFolder
from quintain.testing import DATASET_CHECKS, Case

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was seen in files is remembered here, not in the tester's home."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def sizes(data: Dataset) -> list[int]:
    data.setup("fit")
    return [data.size(split) for split in SPLITS]


def said(data: Any, words: str) -> bool:
    return any(words in note for note in data.notes)


FOLDERS: dict[str, tuple[Callable[[Path], Path], type[Any], dict[str, Any]]] = {
    "images": (media.images, ImageFolder, {}),
    "recordings": (media.sounds, AudioFolder, {}),
    "videos": (media.videos, VideoFolder, {}),
    "videos, ragged": (media.videos, VideoFolder, {"fps": 25.0, "frames": 11}),
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("memory", [1024, 0])
def test_a_folder_keeps_the_contract(name: str, memory: float, tmp_path: Path) -> None:
    make_files, kind, settings = FOLDERS[name]
    root = str(make_files(tmp_path / "my files"))
    case = Case.load(lambda: kind(root, memory=memory, **settings), CARD)
    for _, check in DATASET_CHECKS:
        check(case)


def test_images_are_what_the_files_hold(tmp_path: Path) -> None:
    root = media.images(tmp_path, 10)
    data = ImageFolder(str(root))
    assert data.spec.shape == (3, 8, 12) and data.spec.classes == ("blue", "red")
    assert sizes(data) == [14, 2, 4]
    assert said(data, "the size of 20 of 20") and said(data, "20 have colour")
    items = data.items()
    batch = data.take("test", torch.arange(4))
    for x, y, item in zip(batch.x, batch.y, items["test"], strict=True):
        own = torch.from_numpy(np.array(Image.open(item.path))).permute(2, 0, 1)
        assert torch.equal(x, own) and item.path.parent.name == data.spec.classes[int(y)]


def test_the_split_depends_on_content_alone(tmp_path: Path) -> None:
    def split(root: Path) -> set[tuple[str, bytes]]:
        items = ImageFolder(str(root)).items()
        return {(s, item.path.read_bytes()) for s in SPLITS for item in items[s]}

    root = media.images(tmp_path / "here")
    moved = tmp_path / "there"
    for n, path in enumerate(sorted(root.rglob("*.*g"), reverse=True)):
        to = moved / path.parent.name / f"{n:03}{path.suffix}"
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    assert split(root) == split(moved)


def test_a_group_comes_into_one_split(tmp_path: Path) -> None:
    root = media.sounds(tmp_path)
    data = AudioFolder(str(root), group=r"^(s\d)_")
    speakers = {s: {item.path.name[:2] for item in data.items()[s]} for s in SPLITS}
    assert sorted(len(names) for names in speakers.values()) == [1, 1, 2]
    assert len(set.union(*speakers.values())) == 4
    with pytest.raises(DataError, match=r"group='x\(' is no regular expression"):
        AudioFolder(str(root), group="x(")
    with pytest.raises(DataError, match="is not found in 40 of 40 names"):
        AudioFolder(str(root), group="speaker")


def test_split_folders_are_kept_and_a_missing_one_is_cut_out_of_train(tmp_path: Path) -> None:
    media.images(tmp_path / "train", 20)
    for k, name in enumerate(media.COLOURS):
        media.image(tmp_path / "Test" / name / "new.png", (9, 9, 9), 70 + k, (12, 8))
    data = ImageFolder(str(tmp_path))
    assert sizes(data) == [36, 4, 2] and said(data, "as given, val out of train")
    shutil.copy(tmp_path / "train/red/s0_000.png", tmp_path / "Test/red/copy.png")
    assert said(ImageFolder(str(tmp_path)), "1 of 3 samples of test stand in an earlier split")
    (tmp_path / "Test/green").mkdir()
    media.image(tmp_path / "Test/green/a.png", (0, 200, 0), 1, (12, 8))
    with pytest.raises(DataError, match="classes of test that train lacks: green"):
        ImageFolder(str(tmp_path))


def test_copies_stay_together_and_are_told(tmp_path: Path) -> None:
    root = media.images(tmp_path)
    for path in sorted(root.glob("red/*"))[:6]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    shutil.copy(root / "red/s0_000.png", root / "blue/wrong.png")
    data = ImageFolder(str(root))
    assert said(data, "7 of 47 images are copies of others")
    assert said(data, "1 images lie in several classes with the same content")
    assert not said(data, "earlier split")


def test_images_of_any_kind_come_in_one_form(tmp_path: Path) -> None:
    def save(name: str, image: Image.Image, **how: Any) -> Path:
        image.save(tmp_path / name, **how)
        return tmp_path / name

    clear = np.zeros((4, 6, 4), np.uint8)
    clear[:, :3] = (10, 20, 30, 255)  # the right half is transparent
    x = read_image(save("clear.png", Image.fromarray(clear)), (4, 6), 3)
    assert x[:, 0, 0].tolist() == [10, 20, 30] and x[:, 0, 5].tolist() == [255] * 3

    deep = np.full((4, 6), 257 * 77, np.uint16)
    path = save("deep.png", Image.fromarray(deep))
    assert probe(path) == (6, 4, 1) and (read_image(path, (4, 6), 1) == 77).all()

    turned = np.zeros((4, 6, 3), np.uint8)
    turned[0] = 255  # EXIF 6: the top row is really the right column
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save("turned.jpg", Image.fromarray(turned), exif=exif, quality=100, subsampling=0)
    assert probe(path)[:2] == (4, 6)
    x = read_image(path, (6, 4), 3)
    assert (x[:, :, 3] > 200).all() and (x[:, :, 0] < 50).all()

    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    x = read_image(save("wide.png", Image.fromarray(wide)), (10, 10), 1)
    assert x.shape == (1, 10, 10) and (x == 200).all()  # the middle


def test_the_size_of_large_images_is_brought_down_and_said(tmp_path: Path) -> None:
    for k, name in enumerate("ab"):
        for n in range(4):
            media.image(tmp_path / name / f"{n}.jpg", (90, 90, 90), 10 * k + n, (400, 200))
    media.image(tmp_path / "a" / "other.jpg", (90, 90, 90), 99, (50, 50))
    data = ImageFolder(str(tmp_path))
    assert data.spec.shape == (3, 48, 96)
    assert said(data, "200×400, the size of 8 of 9, brought down to 96") and said(data, "9 files")
    assert ImageFolder(str(tmp_path), size=[10, 20], channels=1).spec.shape == (1, 10, 20)
    with pytest.raises(DataError, match=r"size must be .* came 0\n.*channels must be"):
        ImageFolder(str(tmp_path), size=0, channels=2)


def test_mixed_rates_and_channels_are_converted_and_counted_or_refused(tmp_path: Path) -> None:
    root = media.sounds(tmp_path)
    media.sound(root / "low" / "fast.wav", 300, 1, rate=16000, samples=3200)
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 2))
    soundfile.write(root / "low" / "stereo.wav", stereo, 8000, subtype="FLOAT")
    data = AudioFolder(str(root))
    assert said(data, "sample rate 8,000 Hz (of 41 of 42 recordings); resampled or averaged:")
    assert said(data, "1 of 16,000 Hz, 1 of several channels")
    mean = read_recording(root / "low" / "stereo.wav", 8000, 5000)
    expected = np.round(stereo.astype(np.float32).mean(axis=1) * 32768)
    assert np.abs(mean.numpy() - expected).max() <= 1
    with pytest.raises(DataError, match=r"are not 8,000 Hz mono: 1 of 16,000 Hz, 1 of several"):
        AudioFolder(str(root), others="refuse")


def test_a_resampled_tone_is_the_tone(tmp_path: Path) -> None:
    rate, samples = 22050, 22050
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    soundfile.write(tmp_path / "tone.flac", tone, rate)
    came = read_recording(tmp_path / "tone.flac", 8000, 10**6).numpy() / 32768
    assert len(came) == steps(probe_sound(tmp_path / "tone.flac"), 8000, 10**6) == 8000
    expected = resample_poly(tone, 160, 441)
    assert np.abs(came - expected)[100:-100].max() < 0.01
    cut = read_recording(tmp_path / "tone.flac", 8000, 1234)
    assert len(cut) == 1234 and np.abs(cut.numpy() / 32768 - came[:1234])[:-20].max() < 1e-4


def test_long_recordings_are_cut_and_said(tmp_path: Path) -> None:
    root = media.sounds(tmp_path)
    data = AudioFolder(str(root), seconds=0.16)
    assert data.spec.shape == (1280,) and said(data, "at most 0.16 s of 40 recordings; 34 are cut")
    with pytest.raises(DataError, match="seconds must be a positive number, came -1"):
        AudioFolder(str(root), seconds=-1)


def test_frames_by_number_and_by_time(tmp_path: Path) -> None:
    facts = (32.0, 16.0, 0.0, 10.0, 25.0)
    assert Sampling(5).wanted(facts) == [1, 3, 5, 7, 9]
    assert Sampling(20).wanted(facts)[:4] == [0, 0, 1, 1]
    assert Sampling(20, 12.5).wanted(facts) == [0, 2, 4, 6, 8]
    assert Sampling(3, 12.5).wanted(facts) == [0, 2, 4]
    assert Sampling(4, 50).wanted(facts) == [0, 0, 1, 2]
    root = media.videos(tmp_path, 6)
    data = VideoFolder(str(root), frames=4, channels=3)
    data.setup("fit")
    item = data.items()["train"][0]
    with av.open(str(item.path)) as file:
        own = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    wanted = [int((part + 0.5) * len(own) / 4) for part in range(4)]
    came = data.take("train", torch.tensor([0])).x[0].permute(0, 2, 3, 1)
    assert np.array_equal(came.numpy(), np.stack([own[n] for n in wanted]))


def test_everything_that_is_wrong_comes_in_one_message(tmp_path: Path) -> None:
    root = media.images(tmp_path)
    (root / "red" / "empty.png").touch()
    (root / "red" / "text.png").write_text("no picture")
    whole = (root / "red" / "s0_000.png").read_bytes()
    (root / "red" / "half.png").write_bytes(whole[: len(whole) // 2])
    (root / "red" / "nowhere.png").symlink_to(root / "gone.png")
    (root / "red" / "loop").symlink_to(root)
    media.image(root / "one" / "only.png", (1, 2, 3), 1, (12, 8))
    media.image(root / "loose.png", (1, 2, 3), 2, (12, 8))
    with pytest.raises(DataError) as error:
        ImageFolder(str(root), size=-3)
    lines = str(error.value).splitlines()
    expected = (
        "loop is a link to a folder that it lies in: remove it",
        "1 images lie in",
        "4 of 45 images (8.89 %) cannot be used, more than bad_share=0.01 allows; bad_share=0.09 ",
        "classes with one sample (equal ones count once) cannot be split: 'one'",
        "size must be a side or [height, width]",
    )
    assert len(lines) == len(expected)
    for words in expected:
        assert any(words in line for line in lines), words
    (bad,) = (line for line in lines if "cannot be used" in line)
    for words in ("empty.png is empty", "text.png is no image", "half.png", "nowhere.png"):
        assert words in bad


def test_a_few_bad_files_are_left_out_and_named(tmp_path: Path) -> None:
    root = media.images(tmp_path)
    (root / "blue" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    data = ImageFolder(str(root), bad_share=0.05)
    assert sum(sizes(data)) == 40 and said(
        data, "1 of 41 images left out: blue/bad.jpg is no image"
    )


def test_truncated_recordings_and_videos_are_found(tmp_path: Path) -> None:
    sounds, videos = media.sounds(tmp_path / "s", 6), media.videos(tmp_path / "v", 4)
    for path in (sounds / "low" / "s1_001.flac", videos / "left" / "s1_001.mp4"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    soundfile.write(sounds / "low" / "silent.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match=r"2 of 13 recordings .*s1_001.flac.*silent.wav has no sa"):
        AudioFolder(str(sounds))
    with pytest.raises(DataError, match=r"1 of 8 videos \(12.5 %\) cannot be used.*s1_001.mp4"):
        VideoFolder(str(videos))


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there; expected a folder"):
        ImageFolder(str(tmp_path / "absent"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; expected a folder"):
        ImageFolder(str(tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no images .*; found nothing\n.*no usable images"):
        ImageFolder(str(tmp_path / "empty"))
    media.sounds(tmp_path / "sounds", 3)
    with pytest.raises(DataError, match=r"has no images .*; found 2 .wav, 2 .flac, 2 .ogg"):
        ImageFolder(str(tmp_path / "sounds"))
    shutil.rmtree(tmp_path / "sounds" / "low")
    with pytest.raises(
        DataError, match=r"there is one class folder \(high\); expected two or more"
    ):
        AudioFolder(str(tmp_path / "sounds"))


def test_links_out_of_the_folder_and_odd_names_are_fine(tmp_path: Path) -> None:
    there = media.images(tmp_path / "there")
    root = tmp_path / "here"
    root.mkdir()
    (root / "röt ünd\n[x] %s").symlink_to(there / "red")
    odd = os.fsdecode(b"bl\xffue")  # no UTF-8
    shutil.copytree(there / "blue", root / odd)
    (root / odd / "a b ' \".png").symlink_to(there / "red" / "s0_000.png")
    (root / ".hidden").mkdir()
    data = ImageFolder(str(root))
    assert data.spec.classes == ("bl\\xffue", "röt ünd\\n[x] %s")
    assert sum(sizes(data)) == 41


def test_what_was_seen_is_remembered_until_it_changes(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = media.images(tmp_path, 10)
    before = ImageFolder(str(root)).items()
    (memory,) = (own_cache / "quintain" / "scans").iterdir()
    looked: list[Path] = []
    opened = Image.open

    def look(path: Path) -> Image.Image:
        looked.append(path)
        return opened(path)

    monkeypatch.setattr(Image, "open", look)
    assert ImageFolder(str(root)).items() == before and not looked
    media.image(root / "red" / "s0_000.png", (0, 0, 0), 5, (12, 8))
    ImageFolder(str(root))
    assert looked == [root / "red" / "s0_000.png"]
    memory.write_text("[]")
    ImageFolder(str(root))
    assert len(looked) == 21


def test_a_fault_that_passes_is_not_remembered(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = media.images(tmp_path, 10)
    whole = sizes(ImageFolder(str(root)))
    shutil.rmtree(own_cache / "quintain" / "scans")
    faults: list[type[Exception]] = [OSError]

    def fail(path: Path) -> Image.Image:
        raise faults[0]("not now")

    with monkeypatch.context() as broken:
        broken.setattr(Image, "open", fail)
        with pytest.raises(DataError, match="no usable images"):
            ImageFolder(str(root))
        for faults[0] in (MemoryError, ImportError):
            with pytest.raises(faults[0], match="not now"):
                ImageFolder(str(root))
    assert sizes(ImageFolder(str(root))) == whole
