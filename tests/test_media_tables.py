"""The user's own captions and transcripts: layouts, splits, and what is faulty."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import media_files as media
import numpy as np
import pytest
import soundfile
import torch

from quintain.contracts import Dataset, Split
from quintain.kit.files.download import DataError
from quintain.kit.text.spelling import Spelling
from quintain.plugins.dataset.audio_transcripts import AudioTranscripts
from quintain.plugins.dataset.image_captions import ImageCaptions
from quintain.testing import DATASET_CHECKS, Case

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def sizes(data: Dataset) -> list[int]:
    data.setup("fit")
    return [data.size(split) for split in SPLITS]


def said(data: Any, words: str) -> bool:
    return any(words in note for note in data.notes)


def captions(root: Path) -> Path:
    """captions.csv beside images/, two captions for each image."""
    media.images(root / "images")
    lines = [
        f'{path.relative_to(root / "images").as_posix()},"A {path.parent.name} square, {more}"\n'
        for path in sorted((root / "images").rglob("*.*g"))
        for more in (f"number {path.stem[-1]}", "that is all")
    ]
    (root / "captions.csv").write_text("filename,caption\n" + "".join(lines))
    return root


def lj_speech(root: Path) -> Path:
    """metadata.csv without a header, quotes in it, beside wavs/."""
    lines = []
    for n in range(30):
        media.sound(root / "wavs" / f"LJ{n:03}.wav", 300 + 30 * n, n, samples=4000 + 40 * n)
        plain = "" if n % 3 else f"say {n % 7} now"
        lines.append(f'LJ{n:03}|Say "{n % 7}|{plain}\n')
    (root / "metadata.csv").write_text("".join(lines))
    return root


def common_voice(root: Path) -> Path:
    """train.tsv, dev.tsv and test.tsv beside clips/."""
    for k, (name, count) in enumerate((("train", 12), ("dev", 4), ("test", 5))):
        lines = ["client_id\tpath\tsentence\tup_votes\n"]
        for n in range(count):
            media.sound(root / "clips" / f"cv_{name}_{n}.flac", 300, 100 * k + n, samples=4000)
            lines.append(f"{name}{n % 3}\tcv_{name}_{n}.flac\tHello {n % 4}\t2\n")
        (root / f"{name}.tsv").write_text("".join(lines))
    return root


TABLES: dict[str, tuple[Callable[[Path], Path], type[Any]]] = {
    "captions": (captions, ImageCaptions),
    "LJSpeech": (lj_speech, AudioTranscripts),
    "Common Voice": (common_voice, AudioTranscripts),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("memory", [1024, 0])
def test_a_table_keeps_the_contract(name: str, memory: float, tmp_path: Path) -> None:
    write, kind = TABLES[name]
    root = str(write(tmp_path))
    case = Case.load(lambda: kind(root, memory=memory), CARD)
    for _, check in DATASET_CHECKS:
        check(case)


def test_all_captions_of_an_image_come_into_one_split(tmp_path: Path) -> None:
    data = ImageCaptions(str(captions(tmp_path)))
    assert data.spec.task == "generate" and data.spec.shape == (3, 8, 12)
    assert sizes(data) == [56, 8, 16] and not said(data, "earlier split")
    assert said(data, "files from column 'filename', texts from column 'caption'")
    items = data.items()
    paths = [{item.path for item in items[split]} for split in SPLITS]
    assert [len(p) for p in paths] == [28, 4, 8] and len(set.union(*paths)) == 40
    batch = data.take("test", torch.tensor([0, 1]))
    assert batch.y_lengths is not None
    first = data.text(batch.y[0, : int(batch.y_lengths[0])].tolist(), "y")
    path = items["test"][0].path
    assert first == f"a {path.parent.name} square, number {path.stem[-1]}"


def test_lj_speech_takes_the_normalised_text_where_there_is_one(tmp_path: Path) -> None:
    data = AudioTranscripts(str(lj_speech(tmp_path)))
    assert data.spec.sample_rate == 8000 and data.spec.shape == (5160,)
    found = {i.path.name: data.text(i.y, "y") for s in SPLITS for i in data.items()[s]}
    assert found["LJ009.wav"] == "say 2 now" and found["LJ010.wav"] == 'say "3'
    data.setup()
    item = data.items()["val"][1]
    own = soundfile.read(item.path, dtype="float32")[0]
    assert np.array_equal(data.take("val", torch.tensor([1])).x[0].numpy(), own)


def test_common_voice_keeps_its_splits_and_one_table_can_be_grouped(tmp_path: Path) -> None:
    root = common_voice(tmp_path)
    data = AudioTranscripts(str(root), lower=False)
    assert sizes(data) == [12, 4, 5] and said(data, "split as given")
    assert "H" in {data.text([n], "y") for n in range(data.spec.symbols)}
    one = AudioTranscripts(str(root / "train.tsv"), group="client_id", symbols="words")
    assert sizes(one) == [4, 4, 4] and said(one, "split by group (client_id)")
    assert said(one, "9 recordings without a text: cv_dev_0.flac")
    assert {one.text([n], "y") for n in range(one.spec.symbols)} >= {"<unk>", "hello"}


def test_a_column_can_say_the_split_and_columns_can_be_named(tmp_path: Path) -> None:
    root = captions(tmp_path)
    rows = [
        {
            "pic": f"red/{p.name}",
            "says": "red thing",
            "split": ("train", "validation", "test")[n % 3],
        }
        for n, p in enumerate(sorted((root / "images" / "red").iterdir()))
    ]
    table = root / "mine.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = ImageCaptions(str(table), file="pic", text="says", symbols="characters")
    assert sizes(data) == [7, 7, 6] and data.spec.target_length == 9
    with pytest.raises(DataError, match=r"no column that seems to be the file; name it by file="):
        ImageCaptions(str(table))
    with pytest.raises(DataError, match=r"no column 'pick'; did you mean 'pic'\?"):
        ImageCaptions(str(table), file="pick", text="says")
    rows[3]["split"] = "trian"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="expected train, val or test; came 'trian'"):
        ImageCaptions(str(table), file="pic", text="says")


def test_what_is_missing_on_either_side_is_told(tmp_path: Path) -> None:
    root = lj_speech(tmp_path)
    (root / "wavs" / "LJ003.wav").unlink()
    (root / "wavs" / "LJ004.wav").write_bytes(b"")
    media.sound(root / "wavs" / "nobody's.wav", 300, 99)
    with (root / "metadata.csv").open("a") as file:
        file.write("../../secret|a b c|\nLJ005| | \n")
    with pytest.raises(DataError) as error:
        AudioTranscripts(str(root), group="LJ(")
    lines = str(error.value).splitlines()
    assert len(lines) == 2 and "group='LJ(' is no regular expression" in lines[1]
    assert "4 of 32 recordings (12.5 %) cannot be used, more than bad_share=0.01 allows" in lines[0]
    for words in (
        "LJ003 (line 4) is not in",
        "LJ004 (line 5) is empty",
        "../../secret (line 31) is not in",
        "LJ005 (line 32) has no text",
    ):
        assert words in lines[0] and "fits" not in lines[0]
    data = AudioTranscripts(str(root), bad_share=0.2)
    assert sum(sizes(data)) == 28 and said(data, "4 of 32 recordings left out")
    assert said(data, "1 recordings without a text: nobody's.wav")


def test_recordings_that_are_too_long_are_left_out_not_cut(tmp_path: Path) -> None:
    root = lj_speech(tmp_path)
    data = AudioTranscripts(str(root), seconds=0.6)
    assert sum(sizes(data)) == 21 and said(data, "9 recordings over 0.6 s left out")
    with pytest.raises(DataError, match=r"all recordings last longer than seconds=0\.1"):
        AudioTranscripts(str(root), seconds=0.1)


def test_the_only_table_of_a_folder_is_taken_whatever_its_name(tmp_path: Path) -> None:
    root = lj_speech(tmp_path)
    expected = sizes(AudioTranscripts(str(root), bad_share=0.2))
    (table,) = (path for path in root.iterdir() if path.is_file())
    table.rename(root / "said.csv")
    assert sizes(AudioTranscripts(str(root), bad_share=0.2)) == expected


def test_a_folder_without_a_table_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no table: expected metadata\.csv"):
        AudioTranscripts(str(tmp_path))
    media.image(tmp_path / "a.png", (1, 2, 3), 0, (4, 4))
    (tmp_path / "captions.csv").write_text("file,caption\nb.png,text\n")
    with pytest.raises(
        DataError, match=r"(?s)1 of 1 images \(100 %\) cannot be used.*b.png \(line 2\) is not in"
    ):
        ImageCaptions(str(tmp_path))
    with pytest.raises(DataError, match="there is no such folder"):
        ImageCaptions(str(tmp_path), images=str(tmp_path / "absent"))


def test_the_lexicon_of_a_spelling() -> None:
    texts = ["Ab a", "ab"]
    letters = Spelling(texts, "characters")
    lexicon = letters.lexicon(texts)
    assert lexicon is not None
    assert sorted(map(letters.decode, lexicon.words)) == ["a", "ab"]
    assert letters.decode([lexicon.between]) == " "
    assert Spelling(texts, "words").lexicon(texts) is None
    single = Spelling(["ab"], "characters").lexicon(["ab"])
    assert single is not None and single.between is None  # no blank is known
    rare = ["aab aac aad b a a a"]
    few = Spelling(rare, "characters", most=4)
    assert sorted(map(few.decode, few.lexicon(rare).words)) == ["a", "aab", "b"]


def test_spelling() -> None:
    words = Spelling(["A b", "a  c "], "words")
    assert [words.decode([n]) for n in range(len(words))] == ["<unk>", "a", "b", "c"]
    assert words.encode(" C a\tnew") == (3, 1, 0) and words.decode((3, 1, 0)) == "c a <unk>"
    assert words.longest(["a b", "c"]) == 2
    assert words.note(["a d"]).endswith("1 of 2 in val and test are unknown")
    letters = Spelling(["Ab"], "characters", lower=False)
    assert letters.decode(letters.encode("bA")) == "bA" and letters.encode("a") == (0,)
    with pytest.raises(ValueError, match="words or characters, came 'bytes'"):
        Spelling([], "bytes")  # type: ignore[arg-type]


def test_a_bare_name_that_fits_several_files_takes_none(tmp_path: Path) -> None:
    root = lj_speech(tmp_path)
    wavs = root / "wavs"
    (wavs / "LJ003.flac").write_bytes((wavs / "LJ003.wav").read_bytes())
    with pytest.raises(
        DataError, match=r"LJ003 \(line 4\) fits 2 files of .*wavs: LJ003\.flac, LJ003\.wav"
    ):
        AudioTranscripts(str(root), bad_share=0)
