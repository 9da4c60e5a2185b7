"""Videos as players show them: times, turns, pixel aspect, formats; damaged files are named."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers import media_files as media
from helpers.video_files import moving_bar
from PIL import Image

from quintain.data.video.video_files import FrameSampling, probe_video, read_clip, recognize_video
from quintain.errors import DataError
from quintain.plugins.dataset.video_folder import VideoFolder

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write_frames(
    path: Path,
    frames: Bytes,
    times: Sequence[float] | None = None,
    *,
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    aspect: Fraction | None = None,
) -> Path:
    """Write grey frames (T, H, W), shown at the given seconds, or at 25 a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt, stream.bit_rate = pixels, 2_000_000
        stream.codec_context.sample_aspect_ratio = aspect or Fraction(1)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame[..., None].repeat(3, -1), format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = round(times[number] * 1000), Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def levels(count: int, size: tuple[int, int] = (32, 48)) -> Bytes:
    """Return frames of one brightness each: 10, 20, 30, …"""
    grey = 10 * np.arange(1, count + 1, dtype=np.uint8)
    return np.broadcast_to(grey[:, None, None], (count, *size)).copy()


def read_levels(path: Path, sampling: FrameSampling) -> list[int]:
    """Return the numbers of the frames, from 1, that are read of such a video."""
    clip = read_clip(path, sampling.times(probe_video(path)), (1, 32, 48))
    return [round(level / 10) for level in clip.float().mean((1, 2, 3)).tolist()]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.mov"])
def test_frames_at_a_constant_rate_are_spread_or_taken_by_time(name: str, tmp_path: Path) -> None:
    path = write_frames(tmp_path / name, levels(10))
    assert probe_video(path) == pytest.approx((48, 32, 0, 10, 0.36, 0.4, 0), abs=1e-3)
    assert read_levels(path, FrameSampling(5)) == [2, 4, 6, 8, 10]
    assert read_levels(path, FrameSampling(20))[:5] == [1, 1, 2, 2, 3]
    assert read_levels(path, FrameSampling(10)) == list(range(1, 11))
    assert read_levels(path, FrameSampling(20, 12.5)) == [1, 3, 5, 7, 9]
    assert read_levels(path, FrameSampling(3, 12.5)) == [1, 3, 5]
    assert read_levels(path, FrameSampling(20, 25.0)) == list(range(1, 11))
    assert read_levels(path, FrameSampling(4, 50.0)) == [1, 1, 2, 2]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_of_a_variable_rate_are_taken_by_their_times(name: str, tmp_path: Path) -> None:
    """Twelve frames in the first half second, then one each second."""
    times = [k / 24 for k in range(12)] + [1.0, 2.0, 3.0, 4.0]
    path = write_frames(tmp_path / name, levels(16), times)
    assert read_levels(path, FrameSampling(20, 1.0)) == [1, 13, 14, 15, 16]
    assert read_levels(path, FrameSampling(20, 2.0)) == [1, 12, 13, 13, 14, 14, 15, 15, 16]
    # Four equal parts of 4 s and the duration of the last frame.
    assert read_levels(path, FrameSampling(4))[1:3] == [13, 14]


def test_a_gif_is_a_video_with_its_own_delays(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame) for frame in levels(4)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[500, 100, 100, 300])
    assert probe_video(path)[:6] == pytest.approx((48, 32, 0, 4, 0.7, 1.0), abs=1e-3)
    assert read_levels(path, FrameSampling(10, 10.0)) == [1, 1, 1, 1, 1, 2, 3, 4]


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    frames = []
    for column in (0, 8):
        pixels = np.zeros((32, 48, 4), np.uint8)
        pixels[:, column : column + 8] = (200, 0, 0, 255)
        frames.append(Image.fromarray(pixels))
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, disposal=2)
    clip = read_clip(path, [0.0, 0.1], (3, 32, 48))
    assert clip[1, :, 0, 10].tolist() == [200, 0, 0] and clip[1, :, 0, 40].tolist() == [255] * 3


QUARTERS = ((250, 180), (100, 30))
MATRICES = {
    (1, 0, 0, 1): ((250, 180), (100, 30)),
    (0, 1, -1, 0): ((100, 250), (30, 180)),  # a quarter turn clockwise
    (-1, 0, 0, -1): ((30, 100), (180, 250)),
    (0, -1, 1, 0): ((180, 30), (250, 100)),
    (-1, 0, 0, 1): ((180, 250), (30, 100)),  # mirrored
    (1, 0, 0, -1): ((100, 30), (250, 180)),
    (0, 1, 1, 0): ((250, 100), (180, 30)),
    (0, -1, -1, 0): ((30, 180), (100, 250)),
}


def write_turned(path: Path, matrix: Sequence[int]) -> Path:
    """Write a video of four quarters, 32 × 48, and this matrix (a, b, c, d) in 1/65,536."""
    frame = np.kron(np.array(QUARTERS), np.ones((16, 24))).astype(np.uint8)
    write_frames(path, np.stack([frame] * 3))
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    a, b, c, d = matrix
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_video_is_turned_as_its_header_states(matrix: Sequence[int], tmp_path: Path) -> None:
    path = write_turned(tmp_path / "a.mp4", [65_536 * entry for entry in matrix])
    width, height = map(int, probe_video(path)[:2])
    assert (height, width) == ((48, 32) if matrix[0] == 0 else (32, 48))
    clip = read_clip(path, [0.0], (1, height, width))[0, 0].float()
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    corners = [[float(clip[row, column]) for column in columns] for row in rows]
    assert np.allclose(corners, MATRICES[tuple(matrix)], atol=6)


def test_an_oblique_turn_is_refused(tmp_path: Path) -> None:
    path = write_turned(tmp_path / "a.mp4", [56_756, 32_768, -32_768, 56_756])  # 30 degrees
    with pytest.raises(DataError, match="turned by an angle that is no multiple of 90 degrees"):
        probe_video(path)


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(2), 96), (Fraction(1, 2), 24)])
def test_pixels_that_are_not_square_are_stretched(
    aspect: Fraction, width: int, tmp_path: Path
) -> None:
    path = write_frames(tmp_path / "a.mp4", levels(3), aspect=aspect)
    assert probe_video(path)[:2] == (width, 32)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.webm", "libvpx", "yuv420p"),
        ("a.flv", "flv1", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.3gp", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.mjpeg", "mjpeg", "yuvj420p"),
    ],
)
def test_what_ffmpeg_opens_is_read(name: str, codec: str, pixels: str, tmp_path: Path) -> None:
    path = write_frames(tmp_path / name, levels(10), codec=codec, pixels=pixels)
    assert probe_video(path)[:4] == (48, 32, 0, 10)
    assert read_levels(path, FrameSampling(5)) == [2, 4, 6, 8, 10]


def test_videos_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.mov"):
        write_frames(tmp_path / name, levels(3)).rename(tmp_path / "clip")
        assert recognize_video(tmp_path / "clip") and probe_video(tmp_path / "clip")[3] == 3
    (tmp_path / "text").write_text("#EXTM3U\n")
    assert not recognize_video(tmp_path / "text") and not recognize_video(tmp_path / "absent")


CUT = {"a.mp4": "mpeg4", "a.mkv": "mpeg4", "a.avi": "mpeg4", "a.ts": "mpeg2video", "a.flv": "flv1"}


@pytest.mark.parametrize("name", CUT)
def test_a_video_that_is_cut_off_is_named(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 32, 48)).astype(np.uint8)
    path = write_frames(tmp_path / name, noise, codec=CUT[name])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10 - 7])
    with pytest.raises(DataError, match=r"is cut off: its header states [\d,]+ bytes"):
        probe_video(path)


def test_a_recording_without_an_index_is_cut_off(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "a.mp4", levels(10))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(DataError, match=r"is cut off: it has no index \(moov\)"):
        probe_video(path)


def damage(path: Path) -> None:
    """Overwrite the middle of the media in an MP4 file with zeros."""
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    size = int.from_bytes(content[start - 8 : start - 4], "big")
    content[start + size // 2 : start + size * 3 // 4] = bytes(size * 3 // 4 - size // 2)
    path.write_bytes(content)


def write_classes(root: Path) -> Path:
    """Write 2 × 12 videos of a bar that moves left or right, in H.264."""
    for label, columns in (("left", range(40, 0, -4)), ("right", range(0, 40, 4))):
        for number in range(12):
            frames = moving_bar([*columns])
            frames[:, 16:] = np.random.default_rng(number).integers(0, 255, (16, 48))
            write_frames(root / label / f"{number:02}.mp4", frames, codec="libx264")
    return root


def test_damage_behind_the_first_frame_counts_towards_bad_share(tmp_path: Path) -> None:
    root = write_classes(tmp_path)
    damage(root / "left" / "03.mp4")
    expected = r"bad_share=0\.05 would .*: left/03\.mp4 (is damaged at frame|cannot be decoded)"
    with pytest.raises(DataError, match=expected):
        VideoFolder(str(root))
    data = VideoFolder(str(root), bad_share=0.05)
    data.setup()
    assert sum(map(data.size, ("train", "val", "test"))) == 23


def test_frames_that_are_missing_at_the_end_are_noticed(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 32, 48)).astype(np.uint8)
    path = write_frames(tmp_path / "a.mkv", noise, codec="libx264")
    content = bytearray(path.read_bytes())
    start = content.index(b"\x1f\x43\xb6\x75")  # the cluster of the first frames
    content[start + (len(content) - start) // 2 : -400] = bytes(
        len(content) - 400 - start - (len(content) - start) // 2
    )
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged|cannot be decoded"):
        probe_video(path)


def test_a_long_last_picture_is_no_damage(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "a.mkv", levels(3), [0.0, 0.04, 30.0])
    assert probe_video(path)[3:5] == (3, 30)
    path = write_frames(tmp_path / "b.mkv", levels(1))
    assert probe_video(path)[3:5] == (1, 0)


def test_sound_and_empty_files_are_named_and_repeated_frames_counted(tmp_path: Path) -> None:
    root = media.write_videos(tmp_path, 12)
    (root / "left" / "zero.mp4").touch()
    with av.open(str(root / "right" / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 16_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    data = VideoFolder(str(root), bad_share=0.1)
    notes = " ".join(data.notes)
    assert "2 of 26 videos left out: left/zero.mp4 is empty; right/sound.mp4 has no video" in notes
    assert "has no video stream (only sound)" in notes
    assert "20 clips have fewer frames than are read, which are repeated: left/s0_000.mp4 (8)," in (
        notes
    )


def test_a_flash_is_found_by_its_time(tmp_path: Path) -> None:
    """A second at 24 frames, then two frames a second; the flash is at 2 s or at 4 s."""
    times = [k / 24 for k in range(24)] + [1 + k / 2 for k in range(8)]
    for label, second in (("early", 2.0), ("late", 4.0)):
        for number in range(5):
            frames = np.full((32, 32, 48), 20 + number, np.uint8)
            frames[times.index(second)] = 230
            write_frames(tmp_path / label / f"{number}.mkv", frames, times)
    data = VideoFolder(str(tmp_path), fps=2.0, frames=10)
    data.setup()
    batch = data.batch("train", torch.arange(data.size("train")))
    brightest = batch.x.float().mean((2, 3, 4)).argmax(1)
    assert batch.x.shape[1] == 10 and (brightest == 4 + 4 * batch.y).all()
