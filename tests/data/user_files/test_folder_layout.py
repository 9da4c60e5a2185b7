"""Which folders are splits and which are classes; only names are read, so the files are empty."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from quintain.data.files.folder_listing import list_files
from quintain.data.files.problems import Problems
from quintain.data.user_files.folder_layout import FolderLayout, find_layout, parse_split_names
from quintain.errors import DataError


def read(root: Path, *names: str) -> tuple[FolderLayout, Problems]:
    """Return the layout of files with these names; a name that ends with a slash is a folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).mkdir() if name.endswith("/") else (root / name).touch()
    problems, listing = Problems(), list_files(root)
    files = [file for file in listing.files if file.suffix == ".png"]
    return find_layout(root, files, listing.folders, "images", problems), problems


def count(layout: FolderLayout) -> dict[str, int]:
    """Return how many files each `split/class` has."""
    counts = Counter(f"{file.split or 'any'}/{file.label}" for file in layout.files)
    return dict(sorted(counts.items()))


GIVEN = {"test/cat": 1, "test/dog": 1, "train/cat": 1, "train/dog": 1}
LAYOUTS: dict[str, tuple[list[str], dict[str, int]]] = {
    "classes": (["cat/0.png", "dog/a/0.png"], {"any/cat": 1, "any/dog": 1}),
    "other case": (["TRAIN/cat/0.png", "Train/dog/0.png", "Test/cat/0.png", "Test/dog/0.png"],
                   GIVEN),
    "other words": (["Training Set/cat/0.png", "training_set/dog/0.png", "testset/cat/0.png",
                     "test-images/dog/0.png"], GIVEN),
    "years": (["train2017/cat/0.png", "train2017/dog/0.png", "test2017/cat/0.png",
               "test2017/dog/0.png"], GIVEN),
    "prefixes": (["seg_train/seg_train/cat/0.png", "seg_train/seg_train/dog/0.png",
                  "seg_test/cat/0.png", "seg_test/dog/0.png", "seg_pred/0.png"], GIVEN),
    "below": (["a/b/train/cat/0.png", "a/b/train/dog/0.png", "a/b/test/cat/0.png",
               "a/b/test/dog/0.png", "notes/read.txt"], GIVEN),
    "classes below": (["PetImages/cat/0.png", "PetImages/dog/0.png"], {"any/cat": 1, "any/dog": 1}),
    "only train": (["train/cat/0.png", "train/dog/0.png"], {"train/cat": 1, "train/dog": 1}),
    "splits in classes": (["cat/train/0.png", "cat/test/0.png", "dog/train/0.png",
                           "dog/test/0.png"], GIVEN),
    "a class train": (["car/0.png", "train/0.png"], {"any/car": 1, "any/train": 1}),
    "a class train in splits": (["train/train/0.png", "train/car/0.png", "test/train/0.png"],
                                {"test/train": 1, "train/car": 1, "train/train": 1}),
    "two forms of a name": (["cafe\u0301/0.png", "caf\u00e9/1.png", "zoe\u0308/0.png"],
                            {"any/café": 2, "any/zoë": 1}),
    "a class of tests": (["unit test/0.png", "load test/0.png"],
                         {"any/load test": 1, "any/unit test": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_classes_and_splits_are_found(name: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[name]
    layout, problems = read(tmp_path, *files)
    problems.raise_if_any()
    assert count(layout) == expected


@pytest.mark.parametrize("third", ["unlabelled/0.png", "other/deep/0.png", "annotations/boxes.csv"])
@pytest.mark.parametrize("dev", ["val", "valid", "VALIDATION", "dev"])
def test_folders_beside_the_splits_are_named(third: str, dev: str, tmp_path: Path) -> None:
    files = [f"{split}/{c}/0.png" for split in ("train", dev, "test") for c in ("cat", "dog")]
    layout, problems = read(tmp_path, *files, third, "loose.png")
    problems.raise_if_any()
    assert count(layout) == GIVEN | {"val/cat": 1, "val/dog": 1}
    stray, number = third.split("/")[0], int(third.endswith("png"))
    assert layout.notes == [
        f"images outside of the splits, left out: {stray} ({number}), the folder itself (1)"
    ]


REFUSED: dict[str, tuple[list[str], str]] = {
    "a test without classes": (
        ["train/cat/0.png", "train/dog/0.png", "test/0.png", "test/1.png"],
        "2 images of test are not in class folders, .* sort them into test/CLASS/",
    ),
    "splits without classes": (
        ["train/0.png", "test/0.png", "more/0.png"],
        "test, train: named like splits, but their images are not in class folders",
    ),
    "a test beside classes": (
        ["cat/0.png", "dog/0.png", "test/cat/0.png"],
        r"folders of splits \(test\), but none for train: move cat, dog into train/",
    ),
    "a loose test beside classes": (["cat/0.png", "dog/0.png", "test/0.png"], "if it is a class, "),
    "several data sets": (
        ["a/train/x/0.png", "a/test/x/0.png", "b/train/y/0.png", "b/test/y/0.png"],
        "folders with splits of their own: a, b; give one of them as path",
    ),
    "loose files": (["cat/0.png", "dog/0.png", "0.png"], "1 images are in .* itself"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_is_refused(name: str, tmp_path: Path) -> None:
    files, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        read(tmp_path, *files)[1].raise_if_any()


def test_what_was_guessed_is_said(tmp_path: Path) -> None:
    layout, _ = read(tmp_path / "1", "a/b/cat/0.png", "a/b/dog/0.png")
    assert layout.notes == ["the class folders were found in a/b/, not in path"]
    layout, _ = read(tmp_path / "2", "car/0.png", "train/0.png")
    assert layout.notes == [
        "'train' is read as a class, because its images are not in class folders"
    ]
    layout, _ = read(tmp_path / "3", "train/a/0.png", "train/b/0.png", "val/a/0.png",
                     "validation/b/0.png", "test/")  # fmt: skip
    assert layout.notes == ["folder 'test' has no images",
                            "val is read from 2 folders: val, validation"]  # fmt: skip
    layout, _ = read(tmp_path / "4", "e\u0301/0.png", "\u00e9/1.png", "b/0.png", "empty/")
    assert layout.notes == ["folders of equal names in different Unicode forms are one class: 'é'"]
    assert layout.empty == ["empty"]


def test_names_of_splits_are_parsed() -> None:
    assert parse_split_names(["TrainData", "val_imgs", "eval", "testing"]) == {
        "TrainData": "train", "val_imgs": "val", "testing": "test",
    }  # fmt: skip
    assert parse_split_names(["asl_train", "asl_test", "bsl_test"]) == {
        "asl_train": "train", "asl_test": "test",
    }  # fmt: skip
    assert not parse_split_names(["express train", "freight train", "latest", "contest"])
