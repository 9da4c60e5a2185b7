"""Tables of a user's images, recordings and videos with labels or numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import media_files as media
from PIL import Image

from quintain.contracts import Dataset, Split
from quintain.errors import DataError
from quintain.plugins.dataset.audio_table import AudioTable
from quintain.plugins.dataset.image_table import ImageTable
from quintain.plugins.dataset.text_csv import TextCsv
from quintain.plugins.dataset.video_table import VideoTable
from quintain.testing import DATASET_CHECKS, Case

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def make_table(names: list[str]) -> pd.DataFrame:
    """Return a table with numbers, a class, several labels and a subject for each file."""
    count = len(names)
    return pd.DataFrame(
        {
            "file": names,
            "age": [20 + k for k in range(count)],
            "height": [1.5 + k % 7 / 10 for k in range(count)],
            "kind": [("cat", "dog")[k % 2] for k in range(count)],
            "tags": [("fur", "fur old", "", "old", "fur")[k % 5] for k in range(count)],
            "fur": [int(k % 5 in (0, 1, 4)) for k in range(count)],
            "old": [int(k % 5 in (1, 3)) for k in range(count)],
            "subject": [f"s{k % 10}" for k in range(count)],
        }
    )


def write_images(root: Path, count: int = 40) -> pd.DataFrame:
    for k in range(count):
        media.write_image(root / "images" / f"{k}.png", (10 + 5 * k, 40, 90), k, (8, 6))
    return make_table([f"{k}.png" for k in range(count)])


def write_recordings(root: Path, count: int = 20) -> pd.DataFrame:
    for k in range(count):
        media.write_recording(root / "audio" / f"{k}.wav", 300 + 40 * k, k, samples=800 + 20 * k)
    return make_table([f"{k}.wav" for k in range(count)])


def write_videos(root: Path, count: int = 12) -> pd.DataFrame:
    for k in range(count):
        media.write_video(root / "videos" / f"{k}.mp4", 1 + k % 3, k, frames=6)
    return make_table([f"{k}.mp4" for k in range(count)])


KINDS: dict[str, tuple[Callable[[Path], pd.DataFrame], type[Any]]] = {
    "image": (write_images, ImageTable),
    "speech": (write_recordings, AudioTable),
    "video": (write_videos, VideoTable),
}


def write_csv(frame: pd.DataFrame, root: Path) -> str:
    frame.to_csv(root / "table.csv", index=False)
    return str(root / "table.csv")


def targets_by_name(data: Any) -> dict[str, torch.Tensor]:
    """Return file name → y of all splits."""
    data.setup()
    found = {}
    for split in SPLITS:
        y = data.batch(split, torch.arange(data.size(split))).y
        found |= {item.path.name: row for item, row in zip(data.items()[split], y, strict=True)}
    return found


@pytest.mark.parametrize("modality", KINDS)
def test_numbers_of_files_are_standardised_and_come_back(modality: str, tmp_path: Path) -> None:
    write, kind = KINDS[modality]
    frame = write(tmp_path)
    path = write_csv(frame, tmp_path)
    case = Case.load(lambda **settings: kind(path, target=["age", "height"], **settings), CARD)
    for _, check in DATASET_CHECKS:
        check(case)
    data: Dataset = case.dataset
    assert (data.spec.modality, data.spec.task) == (modality, "regress")
    assert data.spec.targets == ("age", "height")
    y = targets_by_name(data)
    expected = frame.set_index("file")[["age", "height"]]
    for name, row in y.items():
        got = data.inverse_transform(row[None])[0].tolist()
        assert got == pytest.approx(expected.loc[name].tolist(), rel=1e-5)
    train = data.batch("train", torch.arange(data.size("train"))).y.double()
    assert train.mean(0).abs().max() < 1e-5 and (train.std(0, correction=0) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("modality", KINDS)
def test_several_labels_of_files(modality: str, tmp_path: Path) -> None:
    write, kind = KINDS[modality]
    frame = write(tmp_path)
    path = write_csv(frame, tmp_path)
    joined = targets_by_name(kind(path, label="tags", separator="space"))
    flags = targets_by_name(kind(path, label=["fur", "old"]))
    for name, fur, old in frame[["file", "fur", "old"]].itertuples(index=False):
        assert joined[name].tolist() == flags[name].tolist() == [fur, old]
    assert kind(path, label=["old", "fur"]).spec.classes == ("old", "fur")


def test_a_class_of_each_file_is_stratified(tmp_path: Path) -> None:
    path = write_csv(write_images(tmp_path), tmp_path)
    data = ImageTable(path, label="kind")
    y = targets_by_name(data)
    assert data.spec.task == "classify" and data.spec.classes == ("cat", "dog")
    assert [y[f"{k}.png"].item() for k in range(40)] == [0, 1] * 20
    counts = [[item.y for item in data.items()[split]].count(0) for split in SPLITS]
    assert counts == [14, 2, 4] and [data.size(split) for split in SPLITS] == [28, 4, 8]


def test_subjects_and_given_splits_are_kept(tmp_path: Path) -> None:
    frame = write_images(tmp_path)
    path = write_csv(frame, tmp_path)
    data = ImageTable(path, target="age", group="subject")
    subjects = [{int(item.path.stem) % 10 for item in data.items()[split]} for split in SPLITS]
    assert sum(map(len, subjects)) == 10 and set.union(*subjects) == set(range(10))
    frame["split"] = [("train", "test", "val", "train")[k % 4] for k in range(40)]
    data = ImageTable(write_csv(frame, tmp_path), target="age")
    assert {int(item.path.stem) % 4 for item in data.items()["test"]} == {1}
    assert "split as given: 20 for train, 10 for val, 10 for test" in data.notes


def test_problems_of_settings_and_values_are_named(tmp_path: Path) -> None:
    frame = write_images(tmp_path)
    path = write_csv(frame, tmp_path)
    for settings in ({}, {"label": "kind", "target": "age"}):
        with pytest.raises(ValueError, match=r"give dataset\.label=COLUMN to classify"):
            ImageTable(path, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="separator belongs to one column of labels"):
        ImageTable(path, label=["fur", "old"], separator=",")
    with pytest.raises(DataError, match=r"no column 'agee'.*did you mean 'age'"):
        ImageTable(path, target="agee")
    with pytest.raises(DataError, match="column 'kind': expected numbers; line 2 has 'cat'"):
        ImageTable(path, target="kind")
    frame["age"] = frame["age"].astype(object)
    frame.loc[3, "age"] = ""
    path = write_csv(frame, tmp_path)
    with pytest.raises(DataError, match=r"1 of 40 images.*bad_share=0.03.*3.png \(line 5\) has no"):
        ImageTable(path, target="age")
    data = ImageTable(path, target="age", bad_share=0.03)
    assert any("1 of 40 images left out: 3.png (line 5) has no number" in n for n in data.notes)


def test_rare_classes_and_contradictions_are_named(tmp_path: Path) -> None:
    frame = write_images(tmp_path)
    frame.loc[5, "kind"] = "emu"
    path = write_csv(frame, tmp_path)
    with pytest.raises(DataError, match=r"classes with one sample.*'emu'"):
        ImageTable(path, label="kind")
    data = ImageTable(path, label="kind", min_per_class=3)
    assert data.spec.classes == ("cat", "dog")
    assert any("'emu' (1)" in note for note in data.notes)
    (tmp_path / "images" / "1.png").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    notes = ImageTable(path, target="age").notes
    assert "2 rows have the same file content and different targets: 0.png, 1.png" in notes


def test_a_constant_image_size_is_that_of_the_files(tmp_path: Path) -> None:
    path = write_csv(write_images(tmp_path), tmp_path)
    data = ImageTable(path, target="age")
    data.setup()
    assert data.spec.shape == (3, 6, 8)
    item = data.items()["test"][0]
    x = data.batch("test", torch.tensor([0])).x[0]
    assert np.array_equal(x.permute(1, 2, 0).numpy(), np.array(Image.open(item.path)))


def test_constant_targets_of_a_split_and_numbers_in_text_are_noted(tmp_path: Path) -> None:
    rows = [f'text {k},"{1000 + k:,}.5",{k}\n' for k in range(30)]
    (tmp_path / "train.csv").write_text("text,price,size\n" + "".join(rows))
    (tmp_path / "test.csv").write_text("text,price,size\n" + 'a,"2,000.5",1\nb,"2,000.5",2\n')
    data = TextCsv(
        str(tmp_path / "train.csv"), "text", target=["price", "size"],
        test_path=str(tmp_path / "test.csv"),
    )  # fmt: skip
    assert "'price' is 2000.5 in all of test, so R² is not defined there" in data.notes
    assert "column 'price': '1,000.5' is read as 1000.5 (inferred)" in data.notes
