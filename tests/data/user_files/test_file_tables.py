"""Tables of captions and transcripts: layouts, splits, and faulty rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers import media_files as media

from quintain.contracts import Dataset, Split
from quintain.data.text.tokenizers import SymbolCodec
from quintain.errors import DataError
from quintain.plugins.dataset.audio_transcripts import AudioTranscripts
from quintain.plugins.dataset.image_captions import ImageCaptions
from quintain.testing import DATASET_CHECKS, Case

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def sizes(data: Dataset) -> list[int]:
    data.setup("fit")
    return [data.size(split) for split in SPLITS]


def has_note(data: Any, text: str) -> bool:
    return any(text in note for note in data.notes)


def write_captions(root: Path) -> Path:
    """captions.csv next to images/, two captions for each image."""
    media.write_images(root / "images")
    lines = [
        f'{path.relative_to(root / "images").as_posix()},"A {path.parent.name} square, {ending}"\n'
        for path in sorted((root / "images").rglob("*.*g"))
        for ending in (f"number {path.stem[-1]}", "that is all")
    ]
    (root / "captions.csv").write_text("filename,caption\n" + "".join(lines))
    return root


def write_lj_speech(root: Path) -> Path:
    """metadata.csv without a header, with quotes in it, next to wavs/."""
    lines = []
    for n in range(30):
        media.write_recording(
            root / "wavs" / f"LJ{n:03}.wav", 300 + 30 * n, n, samples=4000 + 40 * n
        )
        plain = "" if n % 3 else f"say {n % 7} now"
        lines.append(f'LJ{n:03}|Say "{n % 7}|{plain}\n')
    (root / "metadata.csv").write_text("".join(lines))
    return root


def write_common_voice(root: Path) -> Path:
    """train.tsv, dev.tsv and test.tsv next to clips/."""
    for k, (name, count) in enumerate((("train", 12), ("dev", 4), ("test", 5))):
        lines = ["client_id\tpath\tsentence\tup_votes\n"]
        for n in range(count):
            media.write_recording(
                root / "clips" / f"cv_{name}_{n}.flac", 300, 100 * k + n, samples=4000
            )
            lines.append(f"{name}{n % 3}\tcv_{name}_{n}.flac\tHello {n % 4}\t2\n")
        (root / f"{name}.tsv").write_text("".join(lines))
    return root


TABLES: dict[str, tuple[Callable[[Path], Path], type[Any]]] = {
    "captions": (write_captions, ImageCaptions),
    "LJSpeech": (write_lj_speech, AudioTranscripts),
    "Common Voice": (write_common_voice, AudioTranscripts),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("memory", [1024, 0])
def test_a_table_fulfils_the_contract_of_datasets(name: str, memory: float, tmp_path: Path) -> None:
    write, kind = TABLES[name]
    root = str(write(tmp_path))
    case = Case.load(lambda: kind(root, memory=memory), CARD)
    for _, check in DATASET_CHECKS:
        check(case)


def test_all_captions_of_an_image_are_in_one_split(tmp_path: Path) -> None:
    data = ImageCaptions(str(write_captions(tmp_path)))
    assert data.spec.task == "generate" and data.spec.shape == (3, 8, 12)
    assert sizes(data) == [56, 4, 8] and not has_note(data, "earlier split")
    assert has_note(data, "files from column 'filename', texts from column 'caption'")
    items = data.items()
    paths = [{item.path for item in items[split]} for split in SPLITS]
    assert [len(p) for p in paths] == [28, 4, 8] and len(set.union(*paths)) == 40
    batch = data.batch("test", torch.tensor([0, 1]))
    assert batch.y_lengths is not None
    first = data.decode(batch.y[0, : int(batch.y_lengths[0])].tolist(), "y")
    path = items["test"][0].path
    assert first == f"a {path.parent.name} square, number {path.stem[-1]}"


def test_lj_speech_uses_the_normalised_text_where_there_is_one(tmp_path: Path) -> None:
    data = AudioTranscripts(str(write_lj_speech(tmp_path)))
    assert data.spec.sample_rate == 8000 and data.spec.shape == (5160,)
    texts = {i.path.name: data.decode(i.y, "y") for s in SPLITS for i in data.items()[s]}
    assert texts["LJ009.wav"] == "say 2 now" and texts["LJ010.wav"] == 'say "3'
    data.setup()
    item = data.items()["val"][1]
    expected = soundfile.read(item.path, dtype="float32")[0]
    assert np.array_equal(data.batch("val", torch.tensor([1])).x[0].numpy(), expected)


def test_common_voice_has_its_own_splits_and_a_single_table_can_be_grouped(tmp_path: Path) -> None:
    root = write_common_voice(tmp_path)
    data = AudioTranscripts(str(root), lower=False)
    assert sizes(data) == [12, 4, 5] and has_note(data, "split as given")
    assert "H" in {data.decode([n], "y") for n in range(data.spec.symbols)}
    single = AudioTranscripts(str(root / "train.tsv"), group="client_id", symbols="words")
    assert sizes(single) == [4, 4, 4] and has_note(single, "split by group (client_id)")
    assert has_note(single, "9 recordings without a text: cv_dev_0.flac")
    assert {single.decode([n], "y") for n in range(single.spec.symbols)} >= {"\ufffd", "hello"}


def test_a_column_can_give_the_split_and_columns_can_be_chosen(tmp_path: Path) -> None:
    root = write_captions(tmp_path)
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
    with pytest.raises(DataError, match=r"no column with a usual name for the file; set file="):
        ImageCaptions(str(table))
    with pytest.raises(DataError, match=r"no column 'pick'; did you mean 'pic'\?"):
        ImageCaptions(str(table), file="pick", text="says")
    rows[3]["split"] = "trian"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="expected train, val or test; got 'trian'"):
        ImageCaptions(str(table), file="pic", text="says")


def test_rows_without_files_and_files_without_rows_are_reported(tmp_path: Path) -> None:
    root = write_lj_speech(tmp_path)
    (root / "wavs" / "LJ003.wav").unlink()
    (root / "wavs" / "LJ004.wav").write_bytes(b"")
    media.write_recording(root / "wavs" / "nobody's.wav", 300, 99)
    with (root / "metadata.csv").open("a") as file:
        file.write("../../secret|a b c|\nLJ005| | \n")
    with pytest.raises(DataError) as error:
        AudioTranscripts(str(root), group="LJ(")
    lines = str(error.value).splitlines()
    assert len(lines) == 2 and "group='LJ(' is not a regular expression" in lines[1]
    assert "4 of 32 recordings (12.5 %) cannot be used, more than bad_share=0.01 allows" in lines[0]
    for text in (
        "LJ003 (line 4) is not in",
        "LJ004 (line 5) is empty",
        "../../secret (line 31) is not in",
        "LJ005 (line 32) has no text",
    ):
        assert text in lines[0] and "fits" not in lines[0]
    data = AudioTranscripts(str(root), bad_share=0.2)
    assert sum(sizes(data)) == 28 and has_note(data, "4 of 32 recordings left out")
    assert has_note(data, "1 recordings without a text: nobody's.wav")


def test_recordings_that_are_too_long_are_left_out_not_cut(tmp_path: Path) -> None:
    root = write_lj_speech(tmp_path)
    data = AudioTranscripts(str(root), seconds=0.6)
    assert sum(sizes(data)) == 21 and has_note(data, "9 recordings over 0.6 s left out")
    with pytest.raises(DataError, match=r"all recordings last longer than seconds=0\.1"):
        AudioTranscripts(str(root), seconds=0.1)


def test_the_only_table_of_a_folder_is_used_whatever_its_name(tmp_path: Path) -> None:
    root = write_lj_speech(tmp_path)
    expected = sizes(AudioTranscripts(str(root), bad_share=0.2))
    (table,) = (path for path in root.iterdir() if path.is_file())
    table.rename(root / "renamed.csv")
    assert sizes(AudioTranscripts(str(root), bad_share=0.2)) == expected


def test_a_folder_without_a_table_is_refused_with_the_expected_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no table: expected metadata\.csv"):
        AudioTranscripts(str(tmp_path))
    media.write_image(tmp_path / "a.png", (1, 2, 3), 0, (4, 4))
    (tmp_path / "captions.csv").write_text("file,caption\nb.png,text\n")
    with pytest.raises(
        DataError, match=r"(?s)1 of 1 images \(100 %\) cannot be used.*b.png \(line 2\) is not in"
    ):
        ImageCaptions(str(tmp_path))
    with pytest.raises(DataError, match="there is no such folder"):
        ImageCaptions(str(tmp_path), images=str(tmp_path / "absent"))


def test_the_lexicon_has_the_words_of_train() -> None:
    texts = ["Ab a", "ab"]
    letters = SymbolCodec(texts, "characters")
    lexicon = letters.lexicon(texts)
    assert lexicon is not None
    assert sorted(map(letters.decode, lexicon.words)) == ["a", "ab"]
    assert letters.decode([lexicon.between]) == " "
    assert SymbolCodec(texts, "words").lexicon(texts) is None
    single = SymbolCodec(["ab"], "characters").lexicon(["ab"])
    assert single is not None and single.between is None  # train has no space
    rare = ["aab aac aad b a a a"]
    few = SymbolCodec(rare, "characters", size=4)
    assert sorted(map(few.decode, few.lexicon(rare).words)) == ["a", "aab", "b"]


def test_symbols_are_words_or_characters() -> None:
    words = SymbolCodec(["A b", "a  c "], "words")
    assert [words.decode([n]) for n in range(len(words))] == ["\ufffd", "a", "b", "c"]
    assert words.encode(" C a\tnew") == (3, 1, 0) and words.decode((3, 1, 0)) == "c a \ufffd"
    assert words.longest(["a b", "c"]) == 2
    assert words.notes([], ["a d"])[0].endswith("1 of 2 in val and test are unknown")
    letters = SymbolCodec(["Ab"], "characters", lower=False)
    assert letters.decode(letters.encode("bA")) == "bA" and letters.encode("a") == (0,)
    with pytest.raises(ValueError, match="words or characters, got 'bytes'"):
        SymbolCodec([], "bytes")  # type: ignore[arg-type]


def test_a_name_that_matches_several_files_is_refused(tmp_path: Path) -> None:
    root = write_lj_speech(tmp_path)
    wavs = root / "wavs"
    (wavs / "LJ003.flac").write_bytes((wavs / "LJ003.wav").read_bytes())
    with pytest.raises(
        DataError, match=r"LJ003 \(line 4\) matches 2 files of .*wavs: LJ003\.flac, LJ003\.wav"
    ):
        AudioTranscripts(str(root), bad_share=0)
