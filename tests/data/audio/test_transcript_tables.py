"""Recordings with transcripts: too short ones are named with their lines, names and words kept."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from helpers import media_files as media
from helpers.commands import compose_cell, usage_problems

from quintain.errors import DataError
from quintain.plan.preflight import preflight_cell
from quintain.plugins.dataset.audio_transcripts import AudioTranscripts


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write_table(root: Path, texts: list[str], samples: int = 4000) -> Path:
    """Write metadata.csv and a recording for each text, in wavs/."""
    rows = ["file,text"]
    for number, text in enumerate(texts):
        name = f"{number}.wav"
        media.write_recording(root / "wavs" / name, 300 + number, number, samples=samples)
        rows.append(f"{name},{text}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return root


def test_recordings_too_short_for_their_transcripts_are_named_in_preflight(tmp_path: Path) -> None:
    root = write_table(tmp_path, [f"abc {number % 7}" for number in range(20)])
    media.write_recording(root / "wavs" / "short.wav", 300, 90, samples=800)  # 7 frames
    media.write_recording(root / "wavs" / "twins.wav", 300, 91, samples=1000)  # 10 frames
    with (root / "metadata.csv").open("a") as file:
        file.write(f"short.wav,{'abcdefgh' * 5}\ntwins.wav,{'a' * 9}\n")
    overrides = ["dataset=audio_transcripts", f"dataset.path={root}", "model=gru"]
    (message,) = usage_problems(*overrides)
    for text in (
        "2 of 22 transcripts need more frames than their samples have: ",
        "short.wav (line 22) in ",
        "(40 symbols need 40 frames, it has 7)",
        "twins.wav (line 23) in ",
        "(9 symbols need 17 frames, it has 10)",
        "head.too_long=leave_out",
    ):
        assert text in message
    result = preflight_cell(compose_cell(*overrides, "head.too_long=leave_out"))
    assert not result.problems and "left out of the loss: " in result.notes[-1]


def test_the_longest_transcript_is_named_if_it_fits_no_recording(tmp_path: Path) -> None:
    root = write_table(tmp_path, [*["abc"] * 12, "abcdefgh" * 100])
    (message,) = usage_problems(
        "dataset=audio_transcripts", f"dataset.path={root}", "model=gru", "dataset.bad_share=0"
    )
    assert "1 of 13 transcripts" in message and "12.wav (line 14) in " in message


def test_null_and_na_are_words(tmp_path: Path) -> None:
    root = write_table(tmp_path, ["null", "NA", "n/a", "none", "yes"] * 6)
    data = AudioTranscripts(str(root), symbols="words")
    words = {data.decode([symbol], "y") for symbol in range(1, data.spec.symbols)}
    assert words == {"null", "na", "n/a", "none", "yes"}
    assert sum(len(items) for items in data.items().values()) == 30


@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_recording_is_found_in_another_unicode_form(
    in_table: str, on_disk: str, tmp_path: Path
) -> None:
    root = write_table(tmp_path, ["eins"] * 12)
    path = root / "wavs" / unicodedata.normalize(on_disk, "früh é.wav")
    media.write_recording(path, 500, 77)
    with (root / "metadata.csv").open("a", encoding="utf-8") as file:
        file.write(f"{unicodedata.normalize(in_table, 'früh é')},zwei\n")
    items = [item for split in AudioTranscripts(str(root)).items().values() for item in split]
    assert path in [item.path for item in items] and len(items) == 13


def test_a_recording_of_any_ending_is_found(tmp_path: Path) -> None:
    root = write_table(tmp_path, ["eins"] * 12)
    media.write_recording(root / "wavs" / "memo.wav", 500, 77).rename(root / "wavs" / "memo.rec")
    (root / "wavs" / "notes.txt").write_text("no sound")
    with (root / "metadata.csv").open("a") as file:
        file.write("memo.rec,zwei\n")
    items = [item for split in AudioTranscripts(str(root)).items().values() for item in split]
    assert len(items) == 13
    with (root / "metadata.csv").open("a") as file:
        file.write("notes.txt,drei\n")
    with pytest.raises(DataError, match=r"notes\.txt \(line 15\) cannot be decoded"):
        AudioTranscripts(str(root))
