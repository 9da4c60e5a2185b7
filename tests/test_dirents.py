"""A folder's names and inodes at once, against os.scandir."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from quintain.records import dirents
from quintain.records.dirents import entries
from quintain.records.listing import listing

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="getdents64 is Linux's")


def shard(folder: Path, count: int, name: str = "ab") -> Path:
    made = folder / "records" / name
    made.mkdir(parents=True)
    for number in range(count):
        key = name + hashlib.sha256(str(number).encode()).hexdigest()[:30]
        (made / f"{key}.json").touch()
    return made


def asked(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as found:
        return {file.name: file.inode() for file in found}


def listed(store: Path) -> dict[str, int]:
    found = listing(store).to_pydict()
    return {f"{key}.json": mark for key, mark in zip(found["key"], found["mark"], strict=True)}


@LINUX
@pytest.mark.parametrize("buffer", [96, 1000, 4096, 2**20])
@pytest.mark.parametrize("count", [0, 1, 2, 700])
def test_as_scandir_says(tmp_path: Path, monkeypatch, buffer: int, count: int) -> None:
    folder = shard(tmp_path, count)
    monkeypatch.setattr(dirents, "BUFFER", buffer)
    found = entries(folder, 37)
    assert found is not None
    names = [bytes(name).decode() for name in found.names]
    assert dict(zip(names, found.inodes.tolist(), strict=True)) == asked(folder)


@LINUX
@pytest.mark.parametrize("size", [5, 12, 13, 36, 200])
def test_names_of_any_length(tmp_path: Path, size: int) -> None:
    for letter in "abc":
        (tmp_path / (letter * size)).touch()
    found = entries(tmp_path, size)
    assert found is not None
    assert sorted(bytes(name).decode() for name in found.names) == [c * size for c in "abc"]


@LINUX
@pytest.mark.parametrize("odd", ["x", "..x", "a" * 36, "a" * 38, "a" * 100, "é" * 19])
def test_a_name_of_another_length_is_noticed(tmp_path: Path, odd: str) -> None:
    folder = shard(tmp_path, 50)
    (folder / odd).touch()
    assert entries(folder, 37) is None


@pytest.mark.parametrize(
    "odd",
    ["x", ".ab.tmp", "ab" + "0" * 6 + ".json", "AB" + "0" * 30 + ".json", "cd" + "0" * 30 + ".json",
     "ab" + "g" * 30 + ".json", "ab" + "0" * 30 + ".jsoN"],
)  # fmt: skip
def test_a_listing_is_the_same_either_way(tmp_path: Path, monkeypatch, odd: str) -> None:
    shard(tmp_path, 3, "cd")
    folder = shard(tmp_path, 20)
    expected = asked(folder) | asked(tmp_path / "records" / "cd")
    assert listed(tmp_path) == expected
    (folder / odd).touch()
    usual = {odd: (folder / odd).stat().st_ino} if odd == "ab000000.json" else {}
    assert listed(tmp_path) == expected | usual
    monkeypatch.setattr(dirents, "_getdents", lambda: None)  # as on another system
    assert listed(tmp_path) == expected | usual


@LINUX
def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        entries(tmp_path / "no", 37)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        entries(tmp_path / "file", 37)


def test_a_folder_named_by_two_characters_of_more_bytes(tmp_path: Path) -> None:
    expected = asked(shard(tmp_path, 3))
    (tmp_path / "records" / "éé").mkdir()
    assert listed(tmp_path) == expected
