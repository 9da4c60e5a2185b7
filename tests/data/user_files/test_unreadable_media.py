"""Messages about files that are truncated, damaged or missing."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers import media_files as media

from quintain.data.audio.audio_files import probe_audio, read_mono_audio, read_recording
from quintain.data.files.problems import Problems
from quintain.data.user_files.scan import filter_unreadable
from quintain.errors import DataError
from quintain.plugins.dataset.audio_folder import AudioFolder
from quintain.plugins.dataset.audio_transcripts import AudioTranscripts
from quintain.plugins.dataset.image_folder import ImageFolder
from quintain.plugins.dataset.video_folder import VideoFolder


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def truncate(path: Path, count: int) -> None:
    """Remove bytes from the end of a file."""
    path.write_bytes(path.read_bytes()[:-count])


def error_of(function: Callable[..., Any], *args: Any, **settings: Any) -> str:
    with pytest.raises(DataError) as error:
        function(*args, **settings)
    return str(error.value)


FORMATS: dict[str, dict[str, str]] = {
    "a.wav": {"subtype": "PCM_16"},
    "b.wav": {"subtype": "PCM_24", "format": "WAVEX"},
    "c.wav": {"subtype": "FLOAT"},
    "d.wav": {"subtype": "IMA_ADPCM"},
    "e.wav": {"endian": "BIG"},
    "f.aiff": {"format": "AIFF"},
    "g.au": {"format": "AU"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_shorter_than_its_header_states_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 3001), 8000, **FORMATS[name])
    rate, _, frames, *_ = probe_audio(path)
    assert len(read_recording(path, 8000, 10_000)) == frames >= 3001 and rate == 8000
    truncate(path, 2 + path.stat().st_size % 2)  # with the padding byte of an odd size
    for read in (probe_audio, lambda p: read_recording(p, 8000, 10_000)):
        assert "is cut off: its header states " in error_of(read, path)


def test_missing_bytes_are_counted(tmp_path: Path) -> None:
    path = media.write_recording(tmp_path / "a.wav", 300, 0, samples=1000)
    assert path.stat().st_size == 44 + 2000
    truncate(path, 500)
    expected = "states 2,000 bytes of audio, but there are 1,500"
    assert expected in error_of(probe_audio, path)
    message = error_of(read_mono_audio, path, 8000)
    assert expected in message and message.count("a.wav") == 1
    path.write_bytes(path.read_bytes()[:30])
    assert "is cut off: it has a header but no audio" in error_of(probe_audio, path)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_stream_without_a_stated_size_is_accepted(size: int, tmp_path: Path) -> None:
    path = media.write_recording(tmp_path / "a.wav", 300, 0, samples=1000)
    content = bytearray(path.read_bytes())
    assert content[36:40] == b"data"
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    assert probe_audio(path)[:3] == (8000, 1, 1000)


def test_a_truncated_recording_counts_towards_bad_share(tmp_path: Path) -> None:
    root = media.write_recordings(tmp_path / "mine", 10)
    truncate(root / "low" / "s3_003.wav", 100)
    message = error_of(AudioFolder, str(root))
    assert "1 of 20 recordings (5 %) cannot be used, more than bad_share=0.01 allows" in message
    assert "; bad_share=0.05 would leave them out: low/s3_003.wav is cut off" in message
    data = AudioFolder(str(root), bad_share=0.05)
    data.setup()
    assert sum(map(data.size, ("train", "val", "test"))) == 19
    assert any("1 of 20 recordings left out: low/s3_003.wav is cut" in n for n in data.notes)


def test_the_row_of_a_truncated_recording_is_named(tmp_path: Path) -> None:
    rows = ["file,text"]
    for n in range(30):
        media.write_recording(tmp_path / f"{n}.wav", 300 + 40 * n, n)
        rows.append(f"{n}.wav,text {n}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    truncate(tmp_path / "7.wav", 2)
    expected = "7.wav (line 9) is cut off: its header states 3,200 bytes"
    assert expected in error_of(AudioTranscripts, str(tmp_path))
    data = AudioTranscripts(str(tmp_path), bad_share=0.04)
    assert any(expected in note for note in data.notes)


@pytest.mark.parametrize("memory", [0, 64])
def test_a_file_truncated_after_the_scan_is_named_once(memory: float, tmp_path: Path) -> None:
    root = media.write_recordings(tmp_path / "mine", 10)
    data = AudioFolder(str(root), memory=memory)
    damaged = data.items()["train"][2].path
    truncate(damaged, damaged.stat().st_size // 2)
    if memory:
        message = error_of(data.setup)
    else:
        data.setup()
        message = error_of(data.batch, "train", torch.tensor([1, 2]))
    assert message.count(str(damaged)) == message.count(damaged.name) == 1


def test_a_row_of_several_tables_is_named_with_its_table(tmp_path: Path) -> None:
    for split, count in (("train", 8), ("dev", 2), ("test", 2)):
        rows = [f"{split}{n}\tsays {n}" for n in range(count)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(["path\tsentence", *rows, "\tx"]))
        for n in range(count):
            media.write_recording(tmp_path / "clips" / f"{split}{n}.wav", 300 + 40 * n, n + count)
    (tmp_path / "clips" / "dev1.wav").unlink()
    message = error_of(AudioTranscripts, str(tmp_path))
    assert "dev1 (dev.tsv, line 3) is not in " in message
    assert " (test.tsv, line 4) names no file" in message


def test_of_many_matching_files_five_are_listed(tmp_path: Path) -> None:
    for ending in ("wav", "flac", "aiff", "au", "ogg", "mp3"):
        media.write_recording(tmp_path / f"a.{ending}", 300, 0)
    shutil.copy(tmp_path / "a.aiff", tmp_path / "a.aif")
    (tmp_path / "metadata.csv").write_text("file,text\na,one\nb,two\n")
    message = error_of(AudioTranscripts, str(tmp_path))
    assert "a (line 2) matches 7 files of " in message and "b (line 3) is not in " in message
    assert "a.aif, a.aiff, a.au, a.flac, a.mp3, 2 more" in message


def test_reasons_do_not_repeat_the_file_name(tmp_path: Path) -> None:
    root = media.write_images(tmp_path / "images")
    (root / "red" / "text.png").write_text("no image")
    content = (root / "red" / "s0_000.png").read_bytes()
    (root / "red" / "half.png").write_bytes(content[: len(content) // 2])
    message = error_of(ImageFolder, str(root))
    assert "red/text.png is not an image of a known format" in message
    assert "red/half.png cannot be read (image file is truncated" in message
    recordings = media.write_recordings(tmp_path / "recordings", 5)
    (recordings / "low" / "text.wav").write_text("no recording")
    message = error_of(AudioFolder, str(recordings))
    expected = "low/text.wav cannot be decoded (Invalid data found when processing input); libsnd"
    assert expected in message
    videos = media.write_videos(tmp_path / "videos", 3)
    (videos / "left" / "text.mp4").write_text("no video")
    assert "left/text.mp4 cannot be decoded (Invalid data" in error_of(VideoFolder, str(videos))


@pytest.mark.parametrize(
    ("count", "total", "share"),
    [(3, 40, "0.08"), (1, 10, "0.1"), (29, 100, "0.29"), (1, 3000, "0.0004"), (1, 101, "0.01")],
)
def test_the_suggested_share_is_accepted(count: int, total: int, share: str) -> None:
    faults = [(f"{n}.png", "is empty") for n in range(count)]
    problems = Problems()
    assert not filter_unreadable(faults, total, "images", 0, problems)
    with pytest.raises(DataError, match=rf"\(.* %\).*; bad_share={share} would leave them out"):
        problems.raise_if_any()
    accepted = Problems()
    (note,) = filter_unreadable(faults, total, "images", float(share), accepted)
    accepted.raise_if_any()
    assert note.startswith(f"{count} of {total:,} images left out: ")


def test_if_all_files_are_bad_no_share_is_suggested(tmp_path: Path) -> None:
    problems = Problems()
    assert not filter_unreadable([("a.png", "is empty")], 1, "images", 0, problems)
    with pytest.raises(DataError, match=r"\(100 %\) cannot be used, .* allows: a\.png is empty"):
        problems.raise_if_any()


def test_class_folders_without_files_are_named(tmp_path: Path) -> None:
    root = media.write_images(tmp_path / "mine")
    (root / "green" / "deeper").mkdir(parents=True)
    (root / "notes").mkdir()
    (root / "notes" / "read.me").write_text("no image")
    (root / "bad").mkdir()
    (root / "bad" / "a.png").touch()
    data = ImageFolder(str(root), bad_share=0.1)
    assert data.spec.classes == ("blue", "red")
    assert "classes without usable images, left out: 'bad', 'green', 'notes'" in data.notes
    shutil.rmtree(root / "red")
    assert "left out: 'bad', 'green', 'notes'" in error_of(ImageFolder, str(root), bad_share=0.1)


def test_class_folders_without_files_in_a_split_are_named(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        media.write_recordings(tmp_path / split, 6)
    for path in (tmp_path / "test" / "low").iterdir():
        path.unlink()
    (tmp_path / "val" / "none").mkdir()
    data = AudioFolder(str(tmp_path))
    assert "test lacks 'low'" in data.notes
    assert "classes without usable recordings, left out: 'none'" in data.notes
    assert data.spec.classes == ("high", "low")
