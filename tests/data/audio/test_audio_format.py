"""The range of recordings: nothing is clipped or lost in silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from helpers.audio_files import write_with_ffmpeg

from quintain.data.audio.audio_files import probe_audio, read_recording
from quintain.data.audio.audio_format import AudioFormat, infer_audio_format
from quintain.data.files.problems import Problems
from quintain.errors import DataError
from quintain.plugins.dataset.audio_folder import AudioFolder

RATE = 8000


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def make_tone(peak: float, samples: int = 1600) -> npt.NDArray[np.float64]:
    tone: npt.NDArray[np.float64] = peak * np.sin(2 * np.pi * 2000 * np.arange(samples) / RATE)
    return tone  # every fourth sample is at the peak


def write_tones(
    folder: Path, peaks: Sequence[float], subtype: str = "FLOAT", name: str = "t"
) -> list[Path]:
    paths = [folder / f"{name}{number}.wav" for number in range(len(peaks))]
    for path, peak in zip(paths, peaks, strict=True):
        soundfile.write(path, make_tone(peak), RATE, subtype=subtype)
    return paths


def infer(paths: Sequence[Path], full_scale: float | None = None) -> AudioFormat:
    problems = Problems()
    files = {path: probe_audio(path) for path in paths}
    result = infer_audio_format(files, None, "convert", None, full_scale, problems)
    problems.raise_if_any()
    return result


def peaks_of(paths: Sequence[Path], audio_format: AudioFormat) -> list[float]:
    """Return the largest sample of each recording as the dataset has it."""
    peaks = []
    for path in paths:
        x = audio_format.read(path, probe_audio(path))
        peaks.append(float((x if x.is_floating_point() else x / 32768).abs().max()))
    return peaks


def test_usual_recordings_are_unchanged_and_have_no_notes(tmp_path: Path) -> None:
    paths = write_tones(tmp_path, [0.25, 0.5, 1.0]) + write_tones(
        tmp_path, [0.125], "PCM_24", "integers"
    )
    audio_format = infer(paths)
    assert peaks_of(paths, audio_format) == pytest.approx([0.25, 0.5, 1, 0.125], abs=1e-4)
    assert len(audio_format.notes) == 2 and not audio_format.as_float


def test_files_with_values_of_16_bits_beside_usual_ones_have_their_own_range(
    tmp_path: Path,
) -> None:
    paths = write_tones(tmp_path, [0.5, 0.25, 16384, 8192]) + write_tones(
        tmp_path, [0.75], "PCM_16", "integers"
    )
    audio_format = infer(paths)
    assert peaks_of(paths, audio_format) == pytest.approx([0.5, 0.25, 0.5, 0.25, 0.75], abs=1e-4)
    assert audio_format.notes[2:] == (
        f"2 of 4 floating-point recordings exceed ±1, up to 16,384: {tmp_path.name}/t2.wav "
        f"(16,384), {tmp_path.name}/t3.wav (8,192); these are divided by 32,768 (inferred; range= "
        "sets it)",
    )


@pytest.mark.parametrize(
    ("peaks", "full_scale"),
    [
        ((0.5, 1.5, 3.0), 3.0),  # too loud
        ((3.0, 6.0, 12.0), 12.0),  # standardised
        ((40.0, 300.0, 20_000.0), 2.0**15),
        ((1000.0, 4e6), 2.0**23),
        ((1000.0, 2e9), 2.0**31),
        ((1e30, 2e30), 2e30),
    ],
)
def test_values_of_one_other_range_keep_their_proportions(
    peaks: tuple[float, ...], full_scale: float, tmp_path: Path
) -> None:
    paths = write_tones(tmp_path, peaks, "DOUBLE")
    audio_format = infer(paths)
    expected = [peak / full_scale for peak in peaks]
    assert peaks_of(paths, audio_format) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    (note,) = (note for note in audio_format.notes if "exceed ±1" in note)
    divisor = f"{full_scale:,.0f}" if full_scale in (2**15, 2**23, 2**31) else f"{full_scale:g}"
    assert f"all {len(peaks)} are divided by {divisor} (inferred" in note


def test_a_range_that_is_set_divides_all_floating_point_files(tmp_path: Path) -> None:
    paths = write_tones(tmp_path, [0.5, 2.0])
    audio_format = infer(paths, 4.0)
    assert peaks_of(paths, audio_format) == pytest.approx([0.125, 0.5], abs=1e-4)
    assert "2 floating-point recordings are divided by range=4" in audio_format.notes
    with pytest.raises(
        DataError,
        match=r"1 of 2 floating-point recordings exceed range=1: .*/t1\.wav \(2\); set range=2 or",
    ):
        infer(paths, 1.0)
    with pytest.raises(DataError, match="range must be a positive number, got -1"):
        infer(paths, -1.0)


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
def test_a_set_of_very_quiet_recordings_is_amplified(subtype: str, tmp_path: Path) -> None:
    paths = write_tones(tmp_path, [1e-5, 5e-6], subtype)
    audio_format = infer(paths)
    assert peaks_of(paths, audio_format) == pytest.approx([1, 0.5], abs=0.02)
    assert "the loudest recording reaches 1e-05 of full scale: all are divided by that" in " ".join(
        audio_format.notes
    )
    unchanged = infer(paths, 1.0)
    assert peaks_of(paths, unchanged) == pytest.approx([1e-5, 5e-6], rel=0.02)


def test_a_quiet_recording_among_louder_ones_is_named_and_not_lost(tmp_path: Path) -> None:
    paths = write_tones(tmp_path, [0.5, 1e-5, 0.0])
    audio_format = infer(paths)
    assert peaks_of(paths, audio_format) == pytest.approx([0.5, 1e-5, 0], rel=1e-3)
    assert audio_format.as_float and audio_format.notes[2:] == (
        f"1 of 3 recordings are silent: {tmp_path.name}/t2.wav",
        f"1 of 3 recordings are quieter than 0.001 of full scale: {tmp_path.name}/t1.wav (1e-05)",
    )


def test_loud_recordings_of_lossy_formats_are_scaled_and_named(tmp_path: Path) -> None:
    square = np.sign(make_tone(1.0, 16_384) + 0.5)
    path = write_with_ffmpeg(tmp_path / "a.m4a", square * 0.99, 16_000, "aac")
    soundfile.write(tmp_path / "b.ogg", square * 0.99, 16_000)
    paths = [path, tmp_path / "b.ogg"]
    audio_format = infer(paths)
    assert peaks_of(paths, audio_format) == pytest.approx([1, 1], abs=1e-4)
    assert "2 of 2 recordings of lossy formats exceed ±1: " in audio_format.notes[-1]


def test_resampling_does_not_clip(tmp_path: Path) -> None:
    square = np.sign(np.sin(2 * np.pi * 441 * np.arange(22_050) / 22_050 + 0.1))
    soundfile.write(tmp_path / "a.wav", square, 22_050, subtype="PCM_16")
    x = read_recording(tmp_path / "a.wav", 16_000, 10**6)
    assert int(x.abs().max()) == 32_767
    assert float((x.abs() >= 32_767).float().mean()) < 0.001  # a clipped square wave has over half


def test_recordings_with_one_name_and_several_endings_are_counted(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        peaks = [0.1 + 0.02 * k + 0.01 * (label == "b") for k in range(6)]
        for path in write_tones(tmp_path / label, peaks):
            soundfile.write(path.with_suffix(".ogg"), soundfile.read(path)[0], RATE)
    expected = (
        "12 names occur with several endings, perhaps of copies (a/t0, a/t1, a/t2, 9 more): "
        "dataset.group='(.*)[.]' keeps these in one split"
    )
    assert expected in AudioFolder(str(tmp_path)).notes
    data = AudioFolder(str(tmp_path), group="(.*)[.]")
    names = [{item.path.stem for item in items} for items in data.items().values()]
    assert sum(map(len, names)) == 6


@pytest.mark.parametrize("memory", [0, 64])
def test_float_samples_reach_the_batch_unchanged(memory: float, tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        peaks = [1e-5 * (1 + k + 10 * (label == "b")) for k in range(5)] + [
            0.5 + 0.1 * (label == "b")
        ]
        write_tones(tmp_path / label, peaks)
    data = AudioFolder(str(tmp_path), memory=memory)
    data.setup()
    x = torch.cat([data.batch(s, torch.arange(data.size(s))).x for s in ("train", "val", "test")])
    found = sorted(round(float(row.abs().max()), 6) for row in x)
    expected = sorted([1e-5 * (k + 10 * b) for k in range(1, 6) for b in (0, 1)] + [0.5, 0.6])
    assert found == pytest.approx(expected, abs=1e-6)
