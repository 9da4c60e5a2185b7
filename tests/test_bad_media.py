"""What a user is told of files that are cut off, damaged, or not in their place."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import media_files as media
import numpy as np
import pytest
import soundfile
import torch

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, reason
from quintain.kit.media.recordings import probe, read_recording
from quintain.kit.media.sounds import read_sound
from quintain.kit.own.scan import sift
from quintain.plugins.dataset.audio_folder import AudioFolder
from quintain.plugins.dataset.audio_transcripts import AudioTranscripts
from quintain.plugins.dataset.image_folder import ImageFolder
from quintain.plugins.dataset.video_folder import VideoFolder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def cut(path: Path, off: int) -> None:
    """Take so many bytes off a file's end."""
    path.write_bytes(path.read_bytes()[:-off])


def refused(make: Callable[..., Any], *args: Any, **settings: Any) -> str:
    with pytest.raises(DataError) as error:
        make(*args, **settings)
    return str(error.value)


KINDS: dict[str, dict[str, str]] = {
    "a.wav": {"subtype": "PCM_16"},
    "b.wav": {"subtype": "PCM_24", "format": "WAVEX"},
    "c.wav": {"subtype": "FLOAT"},
    "d.wav": {"subtype": "IMA_ADPCM"},
    "e.wav": {"endian": "BIG"},
    "f.aiff": {"format": "AIFF"},
    "g.au": {"format": "AU"},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_sound_whose_header_promises_more_is_cut_off(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 3001), 8000, **KINDS[name])
    rate, _, frames = probe(path)
    assert len(read_recording(path, 8000, 10_000)) == frames >= 3001 and rate == 8000
    cut(path, 2 + path.stat().st_size % 2)  # with the byte that makes the size even
    for look in (probe, lambda p: read_recording(p, 8000, 10_000)):
        assert "is cut off: its header promises " in refused(look, path)


def test_the_bytes_that_are_missing_are_counted(tmp_path: Path) -> None:
    path = media.sound(tmp_path / "a.wav", 300, 0, samples=1000)
    assert path.stat().st_size == 44 + 2000
    cut(path, 500)
    expected = "promises 2,000 bytes of sound, but 1,500 are there"
    assert expected in refused(probe, path)
    said = refused(read_sound, path, 8000)
    assert expected in said and said.count("a.wav") == 1
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(soundfile.LibsndfileError):
        probe(path)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_stream_that_could_not_state_its_size_is_whole(size: int, tmp_path: Path) -> None:
    path = media.sound(tmp_path / "a.wav", 300, 0, samples=1000)
    content = bytearray(path.read_bytes())
    assert content[36:40] == b"data"
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    if size:
        assert probe(path) == (8000, 1, 1000)
    else:  # libsndfile takes it at its word
        assert "has no samples" in refused(probe, path)


def test_a_recording_that_is_cut_off_obeys_bad_share(tmp_path: Path) -> None:
    root = media.sounds(tmp_path / "mine", 10)
    cut(root / "low" / "s3_003.wav", 100)
    said = refused(AudioFolder, str(root))
    assert "1 of 20 recordings (5 %) cannot be used, more than bad_share=0.01 allows" in said
    assert "; bad_share=0.05 would go on without them: low/s3_003.wav is cut off" in said
    data = AudioFolder(str(root), bad_share=0.05)
    data.setup()
    assert sum(map(data.size, ("train", "val", "test"))) == 19
    assert any("1 of 20 recordings left out: low/s3_003.wav is cut" in n for n in data.notes)


def test_the_row_of_a_recording_that_is_cut_off_is_named(tmp_path: Path) -> None:
    rows = ["file,text"]
    for n in range(30):
        media.sound(tmp_path / f"{n}.wav", 300 + 40 * n, n)
        rows.append(f"{n}.wav,text {n}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    cut(tmp_path / "7.wav", 2)
    expected = "7.wav (line 9) is cut off: its header promises 3,200 bytes"
    assert expected in refused(AudioTranscripts, str(tmp_path))
    data = AudioTranscripts(str(tmp_path), bad_share=0.04)
    assert any(expected in note for note in data.notes)


@pytest.mark.parametrize("memory", [0, 64])
def test_what_is_cut_off_after_the_look_is_named_once(memory: float, tmp_path: Path) -> None:
    root = media.sounds(tmp_path / "mine", 10)
    data = AudioFolder(str(root), memory=memory)
    victim = data.items()["train"][2].path
    cut(victim, victim.stat().st_size // 2)
    if memory:
        said = refused(data.setup)
    else:
        data.setup()
        said = refused(data.take, "train", torch.tensor([1, 2]))
    assert said.count(str(victim)) == said.count(victim.name) == 1


def test_rows_of_several_tables_say_which(tmp_path: Path) -> None:
    for split, count in (("train", 8), ("dev", 2), ("test", 2)):
        rows = [f"{split}{n}\tsays {n}" for n in range(count)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(["path\tsentence", *rows, "\tx"]))
        for n in range(count):
            media.sound(tmp_path / "clips" / f"{split}{n}.wav", 300 + 40 * n, n + count)
    (tmp_path / "clips" / "dev1.wav").unlink()
    said = refused(AudioTranscripts, str(tmp_path))
    assert "dev1 (dev.tsv, line 3) is not in " in said
    assert " (test.tsv, line 4) names no file" in said


def test_a_name_that_fits_many_lists_five(tmp_path: Path) -> None:
    for ending in ("wav", "flac", "aiff", "au", "ogg", "mp3"):
        media.sound(tmp_path / f"a.{ending}", 300, 0)
    shutil.copy(tmp_path / "a.aiff", tmp_path / "a.aif")
    (tmp_path / "metadata.csv").write_text("file,text\na,one\nb,two\n")
    said = refused(AudioTranscripts, str(tmp_path))
    assert "a (line 2) fits 7 files of " in said and "b (line 3) is not in " in said
    assert "a.aif, a.aiff, a.au, a.flac, a.mp3, 2 more" in said


def test_reasons_are_plain_and_name_no_file(tmp_path: Path) -> None:
    root = media.images(tmp_path / "pictures")
    (root / "red" / "text.png").write_text("no picture")
    whole = (root / "red" / "s0_000.png").read_bytes()
    (root / "red" / "half.png").write_bytes(whole[: len(whole) // 2])
    said = refused(ImageFolder, str(root))
    assert "red/text.png is no image that can be recognised" in said
    assert "red/half.png cannot be read (image file is truncated" in said
    for sounds in (media.sounds(tmp_path / "sounds", 5),):
        (sounds / "low" / "text.wav").write_text("no sound")
        said = refused(AudioFolder, str(sounds))
        assert "low/text.wav cannot be read (Format not recognised.)" in said
    films = media.videos(tmp_path / "films", 3)
    (films / "left" / "text.mp4").write_text("no film")
    assert "left/text.mp4 cannot be decoded (Invalid data" in refused(VideoFolder, str(films))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("cannot identify image file '/d/a.png'"), "cannot identify image file"),
        (
            RuntimeError("Error opening '/d/a.png': Format not recognised."),
            "Format not recognised.",
        ),
        (
            FileNotFoundError(2, "No such file or directory", "/d/a.png"),
            "No such file or directory",
        ),
        (RuntimeError("/d/a.png"), "RuntimeError"),
        (KeyError("fps"), "KeyError: 'fps'"),
        (TypeError(), "TypeError"),
        (ValueError("first\nsecond"), "first"),
    ],
)
def test_a_decoders_words(error: Exception, says: str) -> None:
    assert reason(error, Path("/d/a.png")) == says


@pytest.mark.parametrize(
    ("few", "total", "share"),
    [(3, 40, "0.08"), (1, 10, "0.1"), (29, 100, "0.29"), (1, 3000, "0.0004"), (1, 101, "0.01")],
)
def test_the_share_that_would_pass_does(few: int, total: int, share: str) -> None:
    wrong = [(f"{n}.png", "is empty") for n in range(few)]
    problems = Problems()
    assert not [*sift(wrong, total, "images", 0, problems)]
    with pytest.raises(DataError, match=rf"\(.* %\).*; bad_share={share} would go on without"):
        problems.check()
    passed = Problems()
    (note,) = sift(wrong, total, "images", float(share), passed)
    passed.check()
    assert note.startswith(f"{few} of {total:,} images left out: ")


def test_where_all_are_bad_no_share_is_offered(tmp_path: Path) -> None:
    problems = Problems()
    assert not [*sift([("a.png", "is empty")], 1, "images", 0, problems)]
    with pytest.raises(DataError, match=r"\(100 %\) cannot be used, .* allows: a\.png is empty"):
        problems.check()


def test_class_folders_without_files_are_named(tmp_path: Path) -> None:
    root = media.images(tmp_path / "mine")
    (root / "green" / "deeper").mkdir(parents=True)
    (root / "notes").mkdir()
    (root / "notes" / "read.me").write_text("no picture")
    (root / "bad").mkdir()
    (root / "bad" / "a.png").touch()
    data = ImageFolder(str(root), bad_share=0.1)
    assert data.spec.classes == ("blue", "red")
    assert "classes without usable images, left out: 'bad', 'green', 'notes'" in data.notes
    shutil.rmtree(root / "red")
    assert "left out: 'bad', 'green', 'notes'" in refused(ImageFolder, str(root), bad_share=0.1)


def test_class_folders_without_files_in_a_split_are_named(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        media.sounds(tmp_path / split, 6)
    for path in (tmp_path / "test" / "low").iterdir():
        path.unlink()
    (tmp_path / "val" / "none").mkdir()
    data = AudioFolder(str(tmp_path))
    assert "classes without usable recordings in test: 'low'" in data.notes
    assert "classes without usable recordings, left out: 'none'" in data.notes
    assert data.spec.classes == ("high", "low")
