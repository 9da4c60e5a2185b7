"""The key of a cell depends on the content of the user's files, but not on their location."""

from __future__ import annotations

import os
import time
import unicodedata
from pathlib import Path

import pytest

from quintain.compose.data_hash import (
    add_content_hashes,
    content_hash,
    has_same_content,
    require_same_content,
)
from quintain.data.files import file_hashes
from quintain.errors import DataError, UsageError
from quintain.plan.cell import result_settings


@pytest.fixture(autouse=True)
def clear_cache():
    content_hash.cache_clear()
    yield
    content_hash.cache_clear()


def node(**settings: object) -> dict[str, object]:
    return {"_target_": "a.B", "card": {"files": ["path", "more"]}, **settings}


def folder_with(tmp_path: Path, name: str, **files: str) -> Path:
    for file, text in files.items():
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text(text)
    return tmp_path / name


def test_moving_a_folder_keeps_the_settings_and_editing_changes_them(tmp_path):
    first_folder = folder_with(tmp_path, "one", a="1", b="2")
    second_folder = folder_with(tmp_path, "two", a="1", b="2")
    first_settings, second_settings = (
        result_settings(add_content_hashes(node(path=str(p))))
        for p in (first_folder, second_folder)
    )
    assert first_settings == second_settings and first_settings["path"].startswith("sha256:")
    (second_folder / "b").write_text("3")
    content_hash.cache_clear()
    assert result_settings(add_content_hashes(node(path=str(second_folder)))) != first_settings


def test_renamed_files_and_shifted_boundaries_change_the_hash(tmp_path):
    hashes = {
        content_hash(str(folder_with(tmp_path, name, **files)))
        for name, files in (
            ("x", {"a": "12", "b": "3"}),
            ("y", {"a": "1", "b": "23"}),
            ("z", {"a": "12", "c": "3"}),
        )
    }
    assert len(hashes) == 3


def test_hidden_files_and_loops_of_links_are_ignored(tmp_path):
    folder = folder_with(tmp_path, "data", a="1")
    before = content_hash(str(folder))
    (folder / ".DS_Store").write_text("x")
    os.symlink(folder, folder / "loop")
    content_hash.cache_clear()
    assert content_hash(str(folder)) == before


def test_a_change_in_the_middle_of_a_file_changes_the_hash(tmp_path):
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(3 * 2**20))
    before = content_hash(str(file))
    with file.open("r+b") as handle:
        handle.seek(3 * 2**19)
        handle.write(b"x")
    content_hash.cache_clear()
    assert content_hash(str(file)) != before


def test_a_file_replaced_with_equal_size_and_time_is_seen(tmp_path, monkeypatch):
    """The cache of hashes is used: the change time tells the files apart."""
    monkeypatch.setattr(file_hashes, "RACY_SECONDS", 0)
    folder = folder_with(tmp_path, "data", a="one", b="two")
    for round_ in range(2):
        hashes = []
        for text in ("one", "two", "six"):
            time.sleep(0.02)  # longer than a tick of the file system's clock
            (folder / "a").write_text(text)
            os.utime(folder / "a", (315532800, 315532800))
            content_hash.cache_clear()
            hashes.append(content_hash(str(folder)))
        assert len(set(hashes)) == 3, round_


def test_names_in_two_unicode_forms_have_one_hash(tmp_path):
    hashes = set()
    for form in ("NFC", "NFD"):
        files = {unicodedata.normalize(form, "é/ü"): "1", "z": "2"}
        hashes.add(content_hash(str(folder_with(tmp_path, form, **files))))
    assert len(hashes) == 1


def test_all_missing_files_are_named_in_one_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        add_content_hashes(node(path="a.csv", more="b.csv"))
    assert len(error.value.problems) == 2
    assert "dataset.path=" in str(error.value) and "there is no such file" in str(error.value)


def test_relative_paths_become_absolute_and_changes_are_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x\n1\n")
    hashed = add_content_hashes(node(path="a.csv", more=None))
    assert hashed["path"] == str(tmp_path / "a.csv") and has_same_content(hashed)
    Path("a.csv").write_text("x\n2\n")
    content_hash.cache_clear()
    assert not has_same_content(hashed)


def test_media_beside_a_table_are_hashed(tmp_path):
    folder = folder_with(tmp_path, "data", **{"t.csv": "a,b", "images/a.png": "1"})
    settings = {"card": {"files": ["path", "images", "val_path"]}, "images": None, "val_path": None}
    before = add_content_hashes(node(path=str(folder / "t.csv"), **settings))
    assert before["images"] is None and has_same_content(before)
    assert set(before["card"]["content"]) == {"path", "images"}
    (folder / "images" / "a.png").write_text("2")
    content_hash.cache_clear()
    assert not has_same_content(before)
    assert result_settings(
        add_content_hashes(node(path=str(folder / "t.csv"), **settings))
    ) != result_settings(before)


def test_files_behind_a_link_change_the_hash(tmp_path):
    folder, linked = folder_with(tmp_path, "data", a="1"), folder_with(tmp_path, "far", b="1")
    os.symlink(linked, folder / "linked")
    before = content_hash(str(folder))
    (linked / "b").write_text("2")
    content_hash.cache_clear()
    assert content_hash(str(folder)) != before


def test_a_store_beside_the_data_does_not_change_the_hash(tmp_path):
    folder = folder_with(tmp_path, "data", **{"a.csv": "1"})
    before = content_hash(str(folder))
    key = "0123456789abcdef" * 2
    for name in (f"records/01/{key}.json", "claims/write.lock", f"samples/{key}/samples.json"):
        folder_with(tmp_path, "data", **{f"results/{name}": "x"})
    content_hash.cache_clear()
    assert content_hash(str(folder)) == before


def test_files_that_change_while_they_are_read_are_refused(tmp_path):
    folder = folder_with(tmp_path, "data", **{"a.csv": "1"})
    hashed = add_content_hashes(node(path=str(folder / "a.csv"), more=str(folder)))
    require_same_content(hashed)
    (folder / "b.csv").write_text("2")
    with pytest.raises(DataError, match="have changed while they were read"):
        require_same_content(hashed)


def test_a_log_beside_class_folders_does_not_change_the_hash(tmp_path):
    folder = folder_with(tmp_path, "data", **{"cat/a": "1", "b.csv": "1"})
    card = {"files": ["path"], "class_folders": ["path"]}
    hashed = add_content_hashes(node(path=str(folder), card=card))
    (folder / "log.txt").write_text("of the sweep that runs")
    require_same_content(hashed)
    (folder / "cat" / "log.txt").write_text("new")
    with pytest.raises(DataError):
        require_same_content(hashed)
