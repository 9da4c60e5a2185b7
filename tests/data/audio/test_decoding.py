"""Audio files of many formats: all samples are read, and files that are cut off are named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from helpers.audio_files import remove_mp3_header, write_with_ffmpeg

from quintain.data.audio.audio_files import probe_audio, read_recording, recognize_audio
from quintain.data.audio.decoding import SampleType
from quintain.errors import DataError

RATE = 16_000


def make_sound(samples: int = 16_384) -> npt.NDArray[np.float64]:
    """Return a tone of 440 Hz in noise, with an amplitude of 0.3."""
    noise = np.random.default_rng(0).normal(0, 0.02, samples)
    tone: npt.NDArray[np.float64] = 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE)
    return tone + noise


def write_mp3(path: Path, samples: npt.NDArray[np.float64]) -> bytes:
    """Write an MP3 file of a variable bit rate, which begins with silence; return its bytes."""
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.2}
    soundfile.write(path, samples, RATE, format="MP3", subtype="MPEG_LAYER_III", **options)
    return path.read_bytes()


@pytest.fixture
def mp3(tmp_path: Path) -> tuple[Path, bytes]:
    """A file of 48,000 samples in 86 frames of 576, and its bytes."""
    samples = np.concatenate([np.zeros(16_000), make_sound(32_000)])
    path = tmp_path / "a.mp3"
    return path, write_mp3(path, samples)


def test_an_mp3_file_without_a_header_has_all_its_frames(mp3: tuple[Path, bytes]) -> None:
    path, content = mp3
    assert probe_audio(path)[:3] == (RATE, 1, 48_000)
    path.write_bytes(remove_mp3_header(content))
    assert soundfile.info(path).frames != 86 * 576  # what libsndfile expects
    assert probe_audio(path)[:3] == (RATE, 1, 86 * 576)
    assert len(read_recording(path, RATE, 10**6)) == 86 * 576
    assert len(read_recording(path, 8000, 1000)) == 1000


@pytest.mark.parametrize("has_header", [True, False])
def test_tags_and_other_bytes_of_an_mp3_file_are_no_sound(
    mp3: tuple[Path, bytes], has_header: bool
) -> None:
    path, content = mp3
    content = content if has_header else remove_mp3_header(content)
    expected = 48_000 if has_header else 86 * 576
    tag = b"ID3\x03\0\0\0\0\x7f\x7f" + b"\xff\xf3\x88\xc4" * 4000 + bytes(383)
    for changed in (tag + content, content + b"TAG" + bytes(125), content + bytes(3000)):
        path.write_bytes(changed)
        assert probe_audio(path)[2] == expected


@pytest.mark.parametrize("has_header", [True, False])
@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac", "a.opus"])
def test_long_recordings_are_decoded_as_if_at_once(
    name: str, has_header: bool, tmp_path: Path
) -> None:
    """Ten seconds are several blocks; a decoder that seeks between them makes other samples."""
    path = tmp_path / name
    if name == "a.opus":
        soundfile.write(path, make_sound(160_000), RATE, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, make_sound(160_000), RATE)
    expected = soundfile.read(path)[0]
    if name == "a.mp3" and not has_header:
        content = path.read_bytes()
        path.write_bytes(content[content.index(content[:2], 4) :])
    actual = read_recording(path, RATE, 10**6).numpy() / 32768
    assert probe_audio(path)[2] == len(actual)
    shift = len(actual) - len(expected) if not has_header else 0  # what the encoder added
    shifts = [0] if shift == 0 else range(shift + 1)
    errors = [np.abs(actual[s : s + len(expected)] - expected)[2000:].max() for s in shifts]
    assert min(errors) < 1e-4


def test_joined_mp3_files_are_read_to_the_end(mp3: tuple[Path, bytes]) -> None:
    path, content = mp3
    path.write_bytes(content + content)  # the header of the first states half of the frames
    assert probe_audio(path)[2] == (86 + 1 + 86) * 576
    assert len(read_recording(path, RATE, 10**6)) == (86 + 1 + 86) * 576


def test_an_mp3_file_with_fewer_frames_than_its_header_states_is_cut_off(
    mp3: tuple[Path, bytes],
) -> None:
    path, content = mp3
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(DataError, match="is cut off: its header states 86 frames, but has 58"):
        probe_audio(path)


FFMPEG = {
    "a.m4a": "aac",
    "a.aac": "aac",
    "a.mka": "pcm_s16le",
    "a.caf": "pcm_s16be",
    "alac.m4a": "alac",
    "a.ts": "aac",
    "a.mp2": "mp2",
    "a.wv": "wavpack",
}


@pytest.mark.parametrize("name", FFMPEG)
def test_what_ffmpeg_reads_is_read(name: str, tmp_path: Path) -> None:
    sound = make_sound()
    path = write_with_ffmpeg(tmp_path / name, sound, RATE, FFMPEG[name])
    rate, channels, count, peak, sample_type = probe_audio(path)
    assert (rate, channels) == (RATE, 1) and 16_384 <= count <= 16_384 + 1152
    assert peak == pytest.approx(np.abs(sound).max(), abs=0.02)
    actual = read_recording(path, RATE, 10**6).numpy() / 32768
    assert len(actual) == count
    delay = int(np.argmax(np.correlate(actual[:6000], sound[1000:5000], "valid"))) - 1000
    difference = np.abs(actual[1000 + delay : 15_000 + delay] - sound[1000:15_000])
    assert difference.mean() < (0.03 if sample_type == SampleType.LOSSY else 0.003)


def test_recordings_are_known_by_their_content(tmp_path: Path) -> None:
    sound = make_sound()
    for name in ("a.wav", "a.flac", "a.ogg", "a.aiff", "a.au", "a.mp3"):
        soundfile.write(tmp_path / name, sound, RATE)
        (tmp_path / name).rename(tmp_path / "voice memo 1")
        assert recognize_audio(tmp_path / "voice memo 1")
        assert probe_audio(tmp_path / "voice memo 1")[0] == RATE
    for content in (b"", b"\xff\xfet\0e\0x\0t\0", b"\xff\xd8\xff\xe0 JPEG", b"RIFF1234AVI "):
        (tmp_path / "other").write_bytes(content)
        assert not recognize_audio(tmp_path / "other")
    assert not recognize_audio(tmp_path / "absent")


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.flac", "a.m4a", "a.mka"])
def test_a_recording_with_a_wrong_ending_is_read_as_what_it_is(name: str, tmp_path: Path) -> None:
    if name in FFMPEG:
        path = write_with_ffmpeg(tmp_path / name, make_sound(), RATE, FFMPEG[name])
    else:
        path = tmp_path / name
        soundfile.write(path, make_sound(), RATE)
    expected = probe_audio(path)
    assert probe_audio(path.rename(tmp_path / "b.mp3")) == expected
    assert probe_audio((tmp_path / "b.mp3").rename(tmp_path / "c.wav")) == expected


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_ogg_files_are_read_to_the_end(subtype: str, tmp_path: Path) -> None:
    path, content = tmp_path / "a.ogg", b""
    for count in (16_000, 24_000):
        part = io.BytesIO()
        soundfile.write(part, make_sound(count), RATE, format="OGG", subtype=subtype)
        content += part.getvalue()
    path.write_bytes(content)
    assert soundfile.info(path).frames == 16_000
    rate, _, count, *_ = probe_audio(path)
    assert count / rate == pytest.approx(2.5, abs=0.02)


def test_a_flac_file_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, make_sound(), RATE)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # the number of samples, 36 bits; a stream does not know it
    path.write_bytes(content)
    assert probe_audio(path)[:3] == (RATE, 1, 16_384)


@pytest.mark.parametrize("name", ["a.ogg", "a.flac", "a.caf", "a.w64", "a.rf64", "a.m4a", "a.mka"])
def test_a_recording_that_is_cut_off_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name in FFMPEG and name != "a.caf":
        write_with_ffmpeg(path, make_sound(), RATE, FFMPEG[name])
    else:
        soundfile.write(path, make_sound(), RATE, format=path.suffix[1:].upper())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(DataError, match=r"is cut off"):
        probe_audio(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    sound = make_sound()
    sound[4000] = value
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="DOUBLE")
    with pytest.raises(DataError, match=r"NaN or infinite, the first at 0\.250 s"):
        probe_audio(tmp_path / "a.wav")


def test_a_video_without_sound_is_no_recording(tmp_path: Path) -> None:
    from helpers.video_files import moving_bar, write_video

    write_video(tmp_path / "a.mp4", moving_bar([0, 8]))
    with pytest.raises(DataError, match="has no sound"):
        probe_audio(tmp_path / "a.mp4")
