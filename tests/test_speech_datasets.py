"""Sets of speech in the layouts people have on disk, from archives of a real server, and broken."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import random
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from quintain.contracts import DataSpec, Split
from quintain.kit.files.download import DataError, Remote
from quintain.kit.files.tarballs import fetch_folder, unpack_tar
from quintain.kit.media.sounds import Letters, read_sound
from quintain.plugins.dataset import librispeech, speech_commands, yesno
from quintain.plugins.dataset.grid_speech import GridSpeech
from quintain.plugins.dataset.librispeech import Librispeech
from quintain.plugins.dataset.speech_commands import SpeechCommands
from quintain.plugins.dataset.yesno import Yesno
from quintain.plugins.stem.speech import Speech
from quintain.testing import DATASET_CHECKS, Case

ROOT = Path(__file__).parents[1]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
GRID = Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data")) / "grid_s1"


def card(name: str) -> dict[str, Any]:
    text = (ROOT / "conf" / "dataset" / f"{name}.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["dataset"]["card"]
    return found


def sound(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, samples, dtype=np.int16)


def write(path: Path, samples: int, seed: int, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(samples, seed), rate, subtype="PCM_16")


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Remote]]:
    """Packs a folder, which then is gone, and serves the archive."""
    site = tmp_path / "site"
    site.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(site))

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()

    def pack(folder: Path, top: str, name: str = "set.tar.gz") -> Remote:
        with tarfile.open(site / name, "w:gz") as archive:
            archive.add(folder, top)
        shutil.rmtree(folder)
        digest = hashlib.sha256((site / name).read_bytes()).hexdigest()
        return Remote(url=f"http://127.0.0.1:{http.server_port}/{name}", sha256=digest)

    yield pack
    http.shutdown()
    thread.join()
    http.server_close()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_folder_comes_out_of_a_tar_archive_once(
    serve: Callable[..., Remote], tmp_path: Path
) -> None:
    write(tmp_path / "made" / "a.wav", 5, 0)
    remote = serve(tmp_path / "made", "top/inner")
    folder = tmp_path / "data" / "inner"
    for _ in range(2):
        assert fetch_folder(folder, remote, "top/inner") == folder
        assert left_in(folder) == ["a.wav"] and left_in(folder.parent) == ["inner"]
    with pytest.raises(DataError, match="has no folder elsewhere"):
        fetch_folder(tmp_path / "data" / "other", remote, "elsewhere")
    wrong = Remote(url=remote.url, sha256="0" * 64)
    with pytest.raises(DataError, match="expected 0000"):
        fetch_folder(tmp_path / "data" / "other", wrong, "top/inner")
    assert [name for name in left_in(folder.parent) if "verified" not in name] == [
        "inner",
        "set.tar.gz",
    ]


def test_an_archive_that_lies_there_is_used_and_kept(tmp_path: Path) -> None:
    write(tmp_path / "made" / "a.wav", 5, 0)
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made", "in")
    digest = hashlib.sha256((tmp_path / "set.tar.gz").read_bytes()).hexdigest()
    remote = Remote(url="http://nowhere.invalid/set.tar.gz", sha256=digest)
    fetch_folder(tmp_path / "in", remote, "in")
    assert {"in", "set.tar.gz"} <= set(left_in(tmp_path))
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written to"):
        fetch_folder(tmp_path / "taken" / "in", remote, "in")


def hostile(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, target, 0
        archive.addfile(entry, io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (hostile("../evil"), "unpacking was stopped"),
        (hostile("a/../../evil"), "unpacking was stopped"),
        (hostile("link", tarfile.SYMTYPE, "/etc/passwd"), "neither a file nor a folder"),
        (hostile("hard", tarfile.LNKTYPE, "../x"), "neither a file nor a folder"),
        (hostile("pipe", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (hostile("a" * 50)[:-20], "no complete tar"),
        (b"no archive", "no complete tar"),
        (b"", "no complete tar"),
    ],
)
def test_hostile_and_broken_archives_are_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "evil.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=says):
        unpack_tar(tmp_path / "evil.tar.gz", tmp_path / "into")
    assert {path.name for path in tmp_path.rglob("*")} <= {"evil.tar.gz", "into"}


def test_an_absolute_path_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "odd.tar.gz").write_bytes(hostile("/odd"))
    unpack_tar(tmp_path / "odd.tar.gz", tmp_path / "into")
    assert left_in(tmp_path / "into") == ["odd"]


def test_sounds_are_read_strictly(tmp_path: Path) -> None:
    for kind in ("wav", "flac"):
        write(tmp_path / f"good.{kind}", 100, 1)
        assert read_sound(tmp_path / f"good.{kind}", 16_000).tolist() == sound(100, 1).tolist()
    stereo = np.zeros((10, 2), np.int16)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16_000)
    write(tmp_path / "empty.wav", 0, 0)
    (tmp_path / "text.wav").write_text("no sound")
    for name, says in (
        ("stereo", "16000 Hz and 2 channels, expected 16000 Hz mono"),
        ("empty", "no samples"),
        ("text", "cannot be read as sound"),
        ("absent", "cannot be read as sound"),
    ):
        with pytest.raises(DataError, match=says):
            read_sound(tmp_path / f"{name}.wav", 16_000)
    with pytest.raises(DataError, match="16000 Hz and 1 channels, expected 8000 Hz"):
        read_sound(tmp_path / "good.wav", 8000)


def test_letters_are_symbols_in_order() -> None:
    letters = Letters(" ab")
    assert letters.encode("b a", "x") == [2, 0, 1] and letters.decode([2, 0, 1]) == "b a"
    with pytest.raises(DataError, match="x: the transcript 'bad' has 'd'"):
        letters.encode("bad", "x")


def passes_checks(make: Callable[..., Any], about: dict[str, Any]) -> Any:
    case = Case.load(make, about)
    for _, check in DATASET_CHECKS:
        check(case)
    return case.dataset


def yesno_names() -> list[str]:
    return ["_".join(format(201 - 3 * k, "08b")) for k in range(60)]


def test_yesno(
    serve: Callable[..., Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, name in enumerate(yesno_names()):
        write(tmp_path / "made" / f"{name}.wav", 2000 + 10 * k, k, rate=8000)
    monkeypatch.setattr(yesno, "_REMOTE", serve(tmp_path / "made", "waves_yesno"))
    data = passes_checks(lambda **other: Yesno(str(tmp_path), **other), card("yesno"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [
        "site",
        "waves_yesno",
    ]
    first, second, third = sorted(yesno_names())[:3]
    for split, name in (("test", first), ("val", second), ("train", third)):
        batch = data.take(split, torch.tensor([0]))
        assert batch.y[0].tolist() == [int(word) for word in name.split("_")]
        k = yesno_names().index(name)
        expected = torch.from_numpy(sound(2000 + 10 * k, k)).float() / 32768
        assert torch.equal(batch.x[0], expected)
    assert data.text([0, 1, 1], "y") == "no yes yes"
    (tmp_path / "waves_yesno" / f"{first}.wav").rename(tmp_path / "waves_yesno" / "odd.wav")
    with pytest.raises(DataError, match=r"has 60 recordings, expected 60 .*not odd\.wav"):
        Yesno(str(tmp_path)).setup()


def commands_tree(folder: Path) -> None:
    """Three speakers; ann is for the test, bob for validation, cy for training."""
    seed = iter(range(1000))
    for word in ("yes", "no", "zero"):
        for speaker in ("ann", "bob", "cy"):
            write(folder / word / f"{speaker}_nohash_0.wav", 900 + 10 * next(seed), next(seed))
    write(folder / "_background_noise_" / "pink_noise.wav", 50_000, 1)
    for name, speaker in (("testing", "ann"), ("validation", "bob")):
        lines = [f"{word}/{speaker}_nohash_0.wav\n" for word in ("yes", "no", "zero")]
        (folder / f"{name}_list.txt").write_text("".join(lines))


def test_speech_commands(
    serve: Callable[..., Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands_tree(tmp_path / "made")
    monkeypatch.setattr(speech_commands, "_REMOTE", serve(tmp_path / "made", "."))
    monkeypatch.setattr(speech_commands, "_RECORDINGS", 9)
    about = card("speech_commands") | {"counts": {"train": 3, "val": 3, "test": 3}}
    data = passes_checks(lambda **other: SpeechCommands(str(tmp_path), **other), about)
    classes = data.spec.classes
    assert len(set(classes)) == 35 and list(classes) == sorted(classes)
    assert [classes[k] for k in data.take("val", torch.arange(3)).y] == ["no", "yes", "zero"]
    assert [classes[k] for k in data.take("train", torch.arange(3)).y] == ["no", "yes", "zero"]
    streamed = SpeechCommands(str(tmp_path), memory=0)
    streamed.setup()
    assert streamed.streams and not data.streams
    for one, other in zip(
        data.take("test", torch.tensor([2, 0])),
        streamed.take("test", torch.tensor([2, 0])),
        strict=True,
    ):
        assert one is None or torch.equal(one, other)
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    (folder / "yes" / "ann_nohash_0.wav").unlink()
    with pytest.raises(DataError, match=r"8 recordings.* 1 are missing, such as yes/ann"):
        SpeechCommands(str(tmp_path)).setup()
    (folder / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"testing_list\.txt is missing"):
        SpeechCommands(str(tmp_path)).setup()


def libri_part(folder: Path, speaker: int, texts: list[str]) -> None:
    chapter = folder / f"{speaker}" / "7"
    chapter.mkdir(parents=True)
    names = [f"{speaker}-7-{k:04}" for k in range(len(texts))]
    for k, name in enumerate(names):
        write(chapter / f"{name}.flac", 4000 + 100 * k, 10 * speaker + k)
    lines = [f"{name} {text}\n" for name, text in zip(names, texts, strict=True)]
    (chapter / f"{speaker}-7.trans.txt").write_text("".join(lines))


def test_librispeech(
    serve: Callable[..., Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "train-clean-100": ["THE CAT'S TAIL", "A"],
        "train-clean-360": ["MORE"],
        "dev-clean": ["IT IS"],
        "test-clean": ["SO BE IT", "NO"],
    }
    parts = dict(librispeech._PARTS)
    for k, (part, said) in enumerate(texts.items()):
        libri_part(tmp_path / "made", 10 + k, said)
        remote = serve(tmp_path / "made", f"LibriSpeech/{part}", f"{part}.tar.gz")
        parts[part] = (len(said), remote.sha256)
    monkeypatch.setattr(librispeech, "_PARTS", parts)
    monkeypatch.setattr(librispeech, "_SITE", remote.url.rpartition("/")[0])
    about = card("librispeech") | {"counts": {"train": 3, "val": 1, "test": 2}}
    both = "train-clean-100+train-clean-360"
    data = passes_checks(lambda **other: Librispeech(str(tmp_path), train=both, **other), about)
    batch = data.take("train", torch.arange(3))
    assert batch.lengths.tolist() == [4000, 4100, 4000]
    rows = zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
    assert [data.text(row[:n], "y") for row, n in rows] == ["THE CAT'S TAIL", "A", "MORE"]
    assert torch.equal(batch.x[1], torch.from_numpy(sound(4100, 101)).float() / 32768)
    sounds = sorted((tmp_path / "LibriSpeech" / "test-clean").glob("*/*/*.flac"))
    sounds[0].unlink()
    with pytest.raises(DataError, match="1 sounds and 2 transcripts, 1 of them without"):
        Librispeech(str(tmp_path)).setup()


def test_parts_that_do_not_exist_or_overlap_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"no part 'clean'.*; dev-clean is used twice"):
        Librispeech(train="clean", test="dev-clean")


def grid_tree(folder: Path, count: int = 20) -> list[str]:
    texts = [f"bin blue at {chr(97 + k)} two now" for k in range(count)]
    for k in range(count):
        write(folder / "wav" / f"id{k:02}.wav", 3000 + k, k, rate=8000)
    lines = [f"id{k:02}\t{text}\n" for k, text in reversed(list(enumerate(texts)))]
    (folder / "transcripts.tsv").write_text("id\ttext\n" + "".join(lines))
    return texts


def test_grid_speech_is_split_by_id(tmp_path: Path) -> None:
    texts = grid_tree(tmp_path / "grid_s1")
    about = card("grid_speech") | {
        "counts": {"train": 16, "val": 2, "test": 2},
        "fingerprint": None,
    }
    data = passes_checks(lambda: GridSpeech(str(tmp_path), verify=False), about)
    for split, expected in (("test", [0, 10]), ("val", [1, 11]), ("train", [2, 3])):
        batch = data.take(split, torch.arange(2))
        assert batch.lengths.tolist() == [3000 + k for k in expected]
        rows = zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
        assert [data.text(row[:n], "y") for row, n in rows] == [texts[k] for k in expected]
    lexicon = data.spec.lexicon
    assert lexicon is not None and len(lexicon.words) == 51
    assert (data.text(lexicon.words[0], "y"), data.text([lexicon.between], "y")) == ("bin", " ")
    with pytest.raises(DataError, match=r"differs .*expected 45f20c.*verify=false"):
        GridSpeech(str(tmp_path)).prepare_data()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: (f / "wav" / "id03.wav").unlink(), "1 ids have .*such as id03"),
        (lambda f: write(f / "wav" / "id03.wav", 20_000, 0, 8000), "id03 has 20,000 samples"),
        (lambda f: (f / "transcripts.tsv").write_text("id text\n"), "another form"),
        (lambda f: (f / "transcripts.tsv").write_text("id\ttext\nid00 x\n"), "another form"),
        (
            lambda f: (f / "transcripts.tsv").write_text(
                (f / "transcripts.tsv").read_text().replace("at c", "at 3")
            ),
            "id02: the transcript .* has '3'",
        ),
    ],
)
def test_broken_grid_folders_are_explained(
    change: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    grid_tree(tmp_path / "grid_s1")
    change(tmp_path / "grid_s1")
    with pytest.raises(DataError, match=says):
        GridSpeech(str(tmp_path), verify=False).setup()


def test_grid_speech_says_what_it_expects_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"grid_s1 is missing.*wav/<id>\.wav.*CC BY 4\.0"):
        GridSpeech(str(tmp_path)).prepare_data()


def test_the_real_grid_sentences_are_those_of_the_card(tmp_path: Path) -> None:
    if not (GRID / "wav").is_dir():
        pytest.skip("grid_speech needs files: set QUINTAIN_DATA to a folder that has them")
    data = passes_checks(lambda: GridSpeech(str(GRID.parent)), card("grid_speech"))
    words = set()
    for split in SPLITS:
        batch = data.take(split, torch.arange(data.size(split)))
        for row, length in zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True):
            said = data.text(row[:length], "y").split()
            assert len(said) == 6
            words |= set(said)
    assert len(words) == 51
    longest = max(data.take(split, torch.arange(data.size(split))).x.shape[1] for split in SPLITS)
    assert (longest,) == data.spec.shape
    shutil.copytree(GRID, tmp_path / "grid_s1", ignore=shutil.ignore_patterns("video"))
    victim = min((tmp_path / "grid_s1" / "wav").iterdir())
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"wav/\*\.wav has .*expected a0b4c6"):
        GridSpeech(str(tmp_path)).prepare_data()


SPOKEN = DataSpec(
    name="made_up",
    modality="speech",
    task="classify",
    shape=(2000,),
    sample_rate=8000,
    ragged=True,
)


def test_stacked_frames_are_frames_side_by_side() -> None:
    draw = torch.Generator().manual_seed(0)
    x, lengths = torch.rand(2, 2000, generator=draw) - 0.5, torch.tensor([2000, 900])
    frames, real = Speech(SPOKEN, reads="sequence", mels=5)(x, lengths)  # 22 and 9 of them
    stem = Speech(SPOKEN, reads="sequence", mels=5, stack=4)
    steps, mask = stem(x, lengths)
    assert steps.shape == (2, *stem.out.grid, stem.out.dim) == (2, 6, 20)
    assert real is not None and mask is not None
    assert mask.sum(1).tolist() == [6, 3]  # 22 / 4 and 9 / 4, what is left over counts
    assert torch.equal(steps[:, :5].unflatten(2, (4, 5)).flatten(1, 2), frames[:, :20])
    assert torch.equal(steps[0, 5], torch.cat([frames[0, 20:].flatten(), torch.zeros(10)]))
    grid, same = Speech(SPOKEN, reads="grid", mels=5, stack=4)(x, lengths)
    assert grid.shape == (2, 6, 5, 4) and torch.equal(same, mask)
    assert torch.equal(grid[0, 2, 3], frames[0, 8:12, 3])


@pytest.mark.parametrize("reads", ["grid", "sequence"])
@pytest.mark.parametrize("length", [1, 300, 1000, 1999])
def test_stacked_frames_do_not_see_padding(reads: Any, length: int) -> None:
    stem = Speech(SPOKEN, reads=reads, stack=3)
    x, n = torch.rand(1, 2000) - 0.5, torch.tensor([length])
    alone, mask = stem(x[:, :length], n)
    soiled = x.clone()
    soiled[:, length:] = torch.nan
    padded, wide = stem(soiled, n)
    assert int(mask.sum()) == mask.shape[1] == int(wide.sum())
    torch.testing.assert_close(padded[:, : mask.shape[1]], alone, rtol=0, atol=1e-6)
    assert not padded[:, mask.shape[1] :].any()


def test_hidden_mels_and_frames() -> None:
    """Only in training, drawn by torch's generator, up to so many, all of them real ones."""
    settings: dict[str, Any] = {"mask_mels": 6, "mask_frames": 4}
    stem = Speech(SPOKEN, reads="sequence", **settings)
    x, lengths = torch.rand(400, 2000) - 0.5, torch.full((400,), 1000)  # 10 frames
    plain, mask = Speech(SPOKEN, reads="sequence")(x, lengths)
    assert torch.equal(stem.eval()(x, lengths)[0], plain)
    stem.train()
    torch.manual_seed(1)
    first = stem(x, lengths)[0]
    torch.manual_seed(1)
    assert torch.equal(stem(x, lengths)[0], first) and not torch.equal(stem(x, lengths)[0], first)
    gone = (first == 0) & (plain != 0)
    frames, mels = gone.all(2).sum(1), (gone | ~mask[..., None]).all(1).sum(1)
    assert set(frames.tolist()) == set(range(5)) and set(mels.tolist()) == set(range(7))
    assert torch.equal(first[~gone], plain[~gone])
    with pytest.raises(ValueError, match=r"stack must .* 0; mask_mels must .* -1; mask_frames"):
        Speech(SPOKEN, reads="grid", stack=0, mask_mels=-1, mask_frames=-2)


def test_stretched_time() -> None:
    """Each sound has a tempo of its own, between frames as NumPy interpolates."""
    stem = Speech(SPOKEN, reads="sequence", stretch=0.2)
    plain = Speech(SPOKEN, reads="sequence")
    x, lengths = torch.rand(300, 2000) - 0.5, torch.tensor([2000, 900, 200]).repeat(100)
    logs, _ = plain(x, lengths)
    assert torch.equal(stem.eval()(x, lengths)[0], logs)
    assert stem.out.grid == (26,) and plain.out.grid == (22,)  # 1 + 21 · 1.2 frames
    drawn, real = stem.train()(x, lengths)
    for length, frames, least, most in ((2000, 22, 17, 26), (900, 9, 7, 10), (200, 1, 1, 1)):
        rows = torch.nonzero(lengths == length).flatten().tolist()
        sizes = [int(real[row].sum()) for row in rows]
        assert (min(sizes), max(sizes)) == (least, most)
        for row, size in zip(rows, sizes, strict=True):
            assert not drawn[row, size:].any()
            old = logs[row, :frames].numpy()
            tempo = _tempo(old, drawn[row, :size].numpy()) if frames > 1 else 1.0
            places = np.minimum(np.arange(size) / tempo, frames - 1)
            for mel in range(0, 40, 13):
                expected = np.interp(places, np.arange(frames), old[:, mel])
                np.testing.assert_allclose(drawn[row, :size, mel], expected, atol=2e-4)
    with pytest.raises(ValueError, match="stretch must"):
        Speech(SPOKEN, reads="grid", stretch=1.0)


def _tempo(old: Any, new: Any) -> float:
    """The factor by which time was stretched, from the place of the second frame."""
    change = old[1:3] - old[0:2]
    share = float((new[1] - old[0]) @ change[0] / (change[0] @ change[0]))
    if not np.allclose(old[0] + share * change[0], new[1], atol=1e-4):  # beyond the next frame
        share = 1 + float((new[1] - old[1]) @ change[1] / (change[1] @ change[1]))
    return 1 / share


def test_stretched_sounds_of_one_length_keep_it() -> None:
    stem = Speech(replace(SPOKEN, ragged=False), reads="sequence", stretch=0.2)
    logs, mask = stem.train()(torch.rand(50, 2000) - 0.5, None)
    assert logs.shape == (50, 22, 40) == (50, *stem.out.grid, stem.out.dim) and mask is None
    ends = (logs != 0).any(2).sum(1)
    assert int(ends.min()) < 20 and int(ends.max()) == 22


def test_a_damaged_xz_archive_is_refused(tmp_path: Path) -> None:
    packed = bytearray(lzma.compress(tarfile_of_noise()))
    packed[len(packed) // 2 :] = b"\xff" * (len(packed) // 2)
    (tmp_path / "odd.tar.xz").write_bytes(packed)
    with pytest.raises(DataError, match="no complete tar"):
        unpack_tar(tmp_path / "odd.tar.xz", tmp_path / "into")


def tarfile_of_noise() -> bytes:
    """A tar file of one entry that cannot be packed."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as entries:
        info = tarfile.TarInfo("a")
        info.size = 200_000
        entries.addfile(info, io.BytesIO(random.Random(0).randbytes(info.size)))
    return made.getvalue()
