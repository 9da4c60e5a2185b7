"""Sizes that containers state: files that are cut off, and bytes that follow complete ones."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.video_files import moving_bar, write_video

from quintain.data.files.truncation import check_complete
from quintain.errors import DataError

SOUNDS = ("a.wav", "a.rf64", "a.aiff", "a.au", "a.caf", "a.w64", "a.ogg", "a.flac")
VIDEOS = {"a.mp4": "mpeg4", "a.mkv": "mpeg4", "a.avi": "mpeg4", "a.ts": "mpeg2video"}


def write_media(path: Path) -> bytes:
    """Write a sound or video file; return its bytes."""
    if path.name in SOUNDS:
        sound = np.random.default_rng(0).uniform(-1, 1, 3000)
        soundfile.write(path, sound, 8000, format=path.suffix[1:].upper())
    else:
        write_video(path, moving_bar([0, 8, 16, 24]), VIDEOS[path.name])
    return path.read_bytes()


@pytest.mark.parametrize("name", [*SOUNDS, *VIDEOS])
@pytest.mark.parametrize("more", [b"\5", b"0001 other bytes", bytes(400)])
def test_bytes_after_a_complete_file_are_accepted(name: str, more: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(write_media(path) + more)
    check_complete(path)


@pytest.mark.parametrize("name", [*SOUNDS[:-1], *VIDEOS])  # FLAC is found out by its decoder
@pytest.mark.parametrize("share", [0.5, 0.75, 0.9])
def test_a_file_is_cut_off_wherever_it_ends(name: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / name
    content = write_media(path)
    path.write_bytes(content[: int(len(content) * share) // 188 * 188 + 100])
    with pytest.raises(DataError, match="is cut off"):
        check_complete(path)


def test_live_recordings_of_unknown_size_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    content = bytearray(write_media(path))
    segment = content.index(b"\x18\x53\x80\x67")
    content[segment + 4 : segment + 12] = b"\x01" + b"\xff" * 7
    path.write_bytes(content)
    check_complete(path)
    path.write_bytes(content[:-100])
    with pytest.raises(DataError, match="is cut off"):
        check_complete(path)


@pytest.mark.parametrize("content", [b"", b"RI", b"OggS", b"\x1aE\xdf\xa3", b"FLV\1", b"text" * 9])
def test_other_files_and_single_headers_raise_nothing_but_data_errors(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(content)
    try:
        check_complete(tmp_path / "a")
    except DataError as error:
        assert "is cut off" in str(error)


def test_random_headers_raise_nothing_but_data_errors(tmp_path: Path) -> None:
    """A size can be any number; none may lead to an endless loop or another error."""
    path = tmp_path / "a"
    random = np.random.default_rng(1)
    heads = [b"RIFF????WAVE", b"RIFF????AVI ", b"FORM????AIFF", b"caff\0\1\0\0", b"\x1aE\xdf\xa3"]
    heads += [b"FLV\1?????", b"OggS", b".snd", struct.pack(">I", 20) + b"ftypisom"]
    for number in range(300):
        path.write_bytes(heads[number % len(heads)] + random.bytes(int(random.integers(600))))
        try:
            check_complete(path)
        except DataError as error:
            assert "is cut off" in str(error)
