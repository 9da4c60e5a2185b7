"""Listing a store returns the key and the inode of each file that has the name of a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from quintain.records.index.listing import list_record_files

KEYS = [f"{folder}{number:030x}" for folder in ("ab", "cd") for number in range(20)]


def make_file(store: Path, folder: str, name: str) -> int:
    """Create an empty file and return its inode."""
    path = store / "records" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.stat().st_ino


def list_inodes(store: Path) -> dict[str, int]:
    columns = list_record_files(store).to_pydict()
    return dict(zip(columns["key"], columns["inode"], strict=True))


def test_listing_has_the_inode_of_every_record(tmp_path: Path) -> None:
    assert list_inodes(tmp_path) == {}
    expected = {key: make_file(tmp_path, key[:2], f"{key}.json") for key in KEYS}
    assert list_inodes(tmp_path) == expected
    short = make_file(tmp_path, "ab", "ab000000.json")
    assert list_inodes(tmp_path) == expected | {"ab000000": short}


@pytest.mark.parametrize(
    ("folder", "name"),
    [("ab", "x"), ("ab", ".ab.tmp"), ("ab", "AB" + "0" * 30 + ".json"), ("éé", "x.json"),
     ("ab", "cd" + "0" * 30 + ".json"), ("ab", "ab" + "g" * 30 + ".json"),
     ("ab", "ab" + "0" * 30 + ".jsoN"), ("abc", "abc" + "0" * 30 + ".json")],
)  # fmt: skip
def test_other_files_are_not_listed(tmp_path: Path, folder: str, name: str) -> None:
    inode = make_file(tmp_path, "ab", f"{KEYS[0]}.json")
    make_file(tmp_path, folder, name)
    (tmp_path / "records" / "ef").touch()
    assert list_inodes(tmp_path) == {KEYS[0]: inode}
