"""Speech datasets: from archives of a local server, and with missing or damaged files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from helpers.audio_server import random_audio, serve, write_audio
from helpers.paths import ROOT

from quintain.contracts import Split
from quintain.data.audio.audio_files import read_mono_audio
from quintain.data.files.download import RemoteFile
from quintain.data.text.vocabulary import Alphabet
from quintain.errors import DataError
from quintain.plugins.dataset import librispeech, speech_commands, yesno
from quintain.plugins.dataset.grid_speech import GridSpeech
from quintain.plugins.dataset.librispeech import Librispeech
from quintain.plugins.dataset.speech_commands import SpeechCommands
from quintain.plugins.dataset.yesno import Yesno
from quintain.testing import DATASET_CHECKS, Case

__all__ = ["serve"]  # a fixture


SPLITS: tuple[Split, ...] = ("train", "val", "test")


GRID = Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data")) / "grid_s1"


def read_card(name: str) -> dict[str, Any]:
    text = (ROOT / "conf" / "dataset" / f"{name}.yaml").read_text()
    card: dict[str, Any] = yaml.safe_load(text)["dataset"]["card"]
    return card


def test_read_mono_audio_checks_the_format(tmp_path: Path) -> None:
    for kind in ("wav", "flac"):
        write_audio(tmp_path / f"good.{kind}", 100, 1)
        assert (
            read_mono_audio(tmp_path / f"good.{kind}", 16_000).tolist()
            == random_audio(100, 1).tolist()
        )
    stereo = np.zeros((10, 2), np.int16)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16_000)
    write_audio(tmp_path / "empty.wav", 0, 0)
    (tmp_path / "text.wav").write_text("no audio")
    for name, message in (
        ("stereo", "16000 Hz and 2 channels, expected 16000 Hz mono"),
        ("empty", "no samples"),
        ("text", "cannot be read as audio"),
        ("absent", "cannot be read as audio"),
    ):
        with pytest.raises(DataError, match=message):
            read_mono_audio(tmp_path / f"{name}.wav", 16_000)
    with pytest.raises(DataError, match="16000 Hz and 1 channels, expected 8000 Hz"):
        read_mono_audio(tmp_path / "good.wav", 8000)


def test_alphabet_encodes_in_order() -> None:
    alphabet = Alphabet(" ab")
    assert alphabet.encode("b a", "x") == [2, 0, 1] and alphabet.decode([2, 0, 1]) == "b a"
    with pytest.raises(DataError, match="x: the transcript 'bad' has 'd'"):
        alphabet.encode("bad", "x")


def load_and_check(make: Callable[..., Any], card: dict[str, Any]) -> Any:
    """Run all dataset checks; return the dataset."""
    case = Case.load(make, card)
    for _, check in DATASET_CHECKS:
        check(case)
    return case.dataset


def yesno_names() -> list[str]:
    return ["_".join(format(201 - 3 * k, "08b")) for k in range(60)]


def test_yesno_reads_its_archive(
    serve: Callable[..., RemoteFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, name in enumerate(yesno_names()):
        write_audio(tmp_path / "source" / f"{name}.wav", 2000 + 10 * k, k, rate=8000)
    monkeypatch.setattr(yesno, "_REMOTE", serve(tmp_path / "source", "waves_yesno"))
    data = load_and_check(lambda **settings: Yesno(str(tmp_path), **settings), read_card("yesno"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [
        "site",
        "waves_yesno",
    ]
    first, second, third = sorted(yesno_names())[:3]
    for split, name in (("test", first), ("val", second), ("train", third)):
        batch = data.batch(split, torch.tensor([0]))
        assert batch.y[0].tolist() == [int(word) for word in name.split("_")]
        k = yesno_names().index(name)
        expected = torch.from_numpy(random_audio(2000 + 10 * k, k)).float() / 32768
        assert torch.equal(batch.x[0], expected)
    assert data.decode([0, 1, 1], "y") == "no yes yes"
    (tmp_path / "waves_yesno" / f"{first}.wav").rename(tmp_path / "waves_yesno" / "wrong.wav")
    with pytest.raises(DataError, match=r"has 60 recordings, expected 60 .*not wrong\.wav"):
        Yesno(str(tmp_path)).setup()


def write_commands(folder: Path) -> None:
    """Write words of three speakers: ann is for test, bob for validation, cy for training."""
    seed = iter(range(1000))
    for word in ("yes", "no", "zero"):
        for speaker in ("ann", "bob", "cy"):
            write_audio(
                folder / word / f"{speaker}_nohash_0.wav", 900 + 10 * next(seed), next(seed)
            )
    write_audio(folder / "_background_noise_" / "pink_noise.wav", 50_000, 1)
    for name, speaker in (("testing", "ann"), ("validation", "bob")):
        lines = [f"{word}/{speaker}_nohash_0.wav\n" for word in ("yes", "no", "zero")]
        (folder / f"{name}_list.txt").write_text("".join(lines))


def test_speech_commands_reads_its_archive(
    serve: Callable[..., RemoteFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path / "source")
    monkeypatch.setattr(speech_commands, "_REMOTE", serve(tmp_path / "source", "."))
    monkeypatch.setattr(speech_commands, "_RECORDINGS", 9)
    card = read_card("speech_commands") | {"counts": {"train": 3, "val": 3, "test": 3}}
    data = load_and_check(lambda **settings: SpeechCommands(str(tmp_path), **settings), card)
    classes = data.spec.classes
    assert len(set(classes)) == 35 and list(classes) == sorted(classes)
    assert [classes[k] for k in data.batch("val", torch.arange(3)).y] == ["no", "yes", "zero"]
    assert [classes[k] for k in data.batch("train", torch.arange(3)).y] == ["no", "yes", "zero"]
    streamed = SpeechCommands(str(tmp_path), memory=0)
    streamed.setup()
    assert streamed.streams and not data.streams
    for decoded, from_disk in zip(
        data.batch("test", torch.tensor([2, 0])),
        streamed.batch("test", torch.tensor([2, 0])),
        strict=True,
    ):
        assert decoded is None or torch.equal(decoded, from_disk)
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    (folder / "yes" / "ann_nohash_0.wav").unlink()
    with pytest.raises(
        DataError, match=r"8 recordings.* 1 listed ones are missing, such as yes/ann"
    ):
        SpeechCommands(str(tmp_path)).setup()
    (folder / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"testing_list\.txt is missing"):
        SpeechCommands(str(tmp_path)).setup()


def write_libri_part(folder: Path, speaker: int, texts: list[str]) -> None:
    chapter = folder / f"{speaker}" / "7"
    chapter.mkdir(parents=True)
    names = [f"{speaker}-7-{k:04}" for k in range(len(texts))]
    for k, name in enumerate(names):
        write_audio(chapter / f"{name}.flac", 4000 + 100 * k, 10 * speaker + k)
    lines = [f"{name} {text}\n" for name, text in zip(names, texts, strict=True)]
    (chapter / f"{speaker}-7.trans.txt").write_text("".join(lines))


def test_librispeech_reads_several_parts(
    serve: Callable[..., RemoteFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "train-clean-100": ["THE CAT'S TAIL", "A"],
        "train-clean-360": ["MORE"],
        "dev-clean": ["IT IS"],
        "test-clean": ["SO BE IT", "NO"],
    }
    parts = dict(librispeech._PARTS)
    for k, (part, transcripts) in enumerate(texts.items()):
        write_libri_part(tmp_path / "source", 10 + k, transcripts)
        remote = serve(tmp_path / "source", f"LibriSpeech/{part}", f"{part}.tar.gz")
        parts[part] = (len(transcripts), remote.sha256)
    monkeypatch.setattr(librispeech, "_PARTS", parts)
    monkeypatch.setattr(librispeech, "_SITE", remote.url.rpartition("/")[0])
    card = read_card("librispeech") | {"counts": {"train": 3, "val": 1, "test": 2}}
    both = "train-clean-100+train-clean-360"
    data = load_and_check(
        lambda **settings: Librispeech(str(tmp_path), train=both, **settings), card
    )
    batch = data.batch("train", torch.arange(3))
    assert batch.lengths.tolist() == [4000, 4100, 4000]
    rows = zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
    assert [data.decode(row[:n], "y") for row, n in rows] == ["THE CAT'S TAIL", "A", "MORE"]
    assert torch.equal(batch.x[1], torch.from_numpy(random_audio(4100, 101)).float() / 32768)
    recordings = sorted((tmp_path / "LibriSpeech" / "test-clean").glob("*/*/*.flac"))
    recordings[0].unlink()
    with pytest.raises(DataError, match="1 recordings and 2 transcripts, 1 of them unpaired"):
        Librispeech(str(tmp_path)).setup()


def test_unknown_and_repeated_parts_are_reported_together() -> None:
    with pytest.raises(
        ValueError, match=r"expected one of .*; got 'clean'; dev-clean is used twice"
    ):
        Librispeech(train="clean", test="dev-clean")


def write_grid(folder: Path, count: int = 20) -> list[str]:
    texts = [f"bin blue at {chr(97 + k)} two now" for k in range(count)]
    for k in range(count):
        write_audio(folder / "wav" / f"id{k:02}.wav", 3000 + k, k, rate=8000)
    lines = [f"id{k:02}\t{text}\n" for k, text in reversed(list(enumerate(texts)))]
    (folder / "transcripts.tsv").write_text("id\ttext\n" + "".join(lines))
    return texts


def test_grid_speech_is_split_by_id(tmp_path: Path) -> None:
    texts = write_grid(tmp_path / "grid_s1")
    card = read_card("grid_speech") | {
        "counts": {"train": 16, "val": 2, "test": 2},
        "fingerprint": None,
    }
    data = load_and_check(lambda: GridSpeech(str(tmp_path), verify=False), card)
    for split, expected in (("test", [0, 10]), ("val", [1, 11]), ("train", [2, 3])):
        batch = data.batch(split, torch.arange(2))
        assert batch.lengths.tolist() == [3000 + k for k in expected]
        rows = zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
        assert [data.decode(row[:n], "y") for row, n in rows] == [texts[k] for k in expected]
    lexicon = data.spec.lexicon
    assert lexicon is not None and len(lexicon.words) == 51
    assert (data.decode(lexicon.words[0], "y"), data.decode([lexicon.between], "y")) == ("bin", " ")
    with pytest.raises(DataError, match=r"differs .*expected 45f20c.*verify=false"):
        GridSpeech(str(tmp_path)).prepare_data()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "wav" / "id03.wav").unlink(), "1 ids have .*such as id03"),
        (lambda f: write_audio(f / "wav" / "id03.wav", 20_000, 0, 8000), "id03 has 20,000 samples"),
        (lambda f: (f / "transcripts.tsv").write_text("id text\n"), "another format"),
        (lambda f: (f / "transcripts.tsv").write_text("id\ttext\nid00 x\n"), "another format"),
        (
            lambda f: (f / "transcripts.tsv").write_text(
                (f / "transcripts.tsv").read_text().replace("at c", "at 3")
            ),
            "id02: the transcript .* has '3'",
        ),
    ],
)
def test_damaged_grid_folder_raises(
    change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    write_grid(tmp_path / "grid_s1")
    change(tmp_path / "grid_s1")
    with pytest.raises(DataError, match=message):
        GridSpeech(str(tmp_path), verify=False).setup()


def test_missing_grid_folder_raises_with_the_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"grid_s1 is missing.*wav/<id>\.wav.*CC BY 4\.0"):
        GridSpeech(str(tmp_path)).prepare_data()


def test_real_grid_files_have_the_fingerprint_of_the_card(tmp_path: Path) -> None:
    if not (GRID / "wav").is_dir():
        pytest.skip("grid_speech needs files: set QUINTAIN_DATA to a folder that has them")
    data = load_and_check(lambda: GridSpeech(str(GRID.parent)), read_card("grid_speech"))
    words = set()
    for split in SPLITS:
        batch = data.batch(split, torch.arange(data.size(split)))
        for row, length in zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True):
            sentence = data.decode(row[:length], "y").split()
            assert len(sentence) == 6
            words |= set(sentence)
    assert len(words) == 51
    longest = max(data.batch(split, torch.arange(data.size(split))).x.shape[1] for split in SPLITS)
    assert (longest,) == data.spec.shape
    shutil.copytree(GRID, tmp_path / "grid_s1", ignore=shutil.ignore_patterns("video"))
    file = min((tmp_path / "grid_s1" / "wav").iterdir())
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"wav/\*\.wav has .*expected a0b4c6"):
        GridSpeech(str(tmp_path)).prepare_data()
