"""The user's own files decide the key of a cell; where they lie does not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from quintain.compose import content
from quintain.compose.cells import deciding
from quintain.compose.content import content_hash, unchanged, with_content
from quintain.compose.errors import UsageError


@pytest.fixture(autouse=True)
def forget():
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


def test_a_moved_folder_decides_the_same_and_an_edited_one_another(tmp_path):
    one = folder_with(tmp_path, "one", a="1", b="2")
    two = folder_with(tmp_path, "two", a="1", b="2")
    first, second = (deciding(with_content(node(path=str(p)))) for p in (one, two))
    assert first == second and first["path"].startswith("sha256:")
    (two / "b").write_text("3")
    content_hash.cache_clear()
    assert deciding(with_content(node(path=str(two)))) != first


def test_a_renamed_file_and_a_shifted_boundary_are_other_content(tmp_path):
    hashes = {
        content_hash(str(folder_with(tmp_path, name, **files)))
        for name, files in (
            ("x", {"a": "12", "b": "3"}),
            ("y", {"a": "1", "b": "23"}),
            ("z", {"a": "12", "c": "3"}),
        )
    }
    assert len(hashes) == 3


def test_hidden_files_and_loops_of_links_do_not_matter(tmp_path):
    folder = folder_with(tmp_path, "data", a="1")
    before = content_hash(str(folder))
    (folder / ".DS_Store").write_text("x")
    os.symlink(folder, folder / "loop")
    content_hash.cache_clear()
    assert content_hash(str(folder)) == before


def test_large_data_is_known_by_sizes_and_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "WHOLE", 10)
    monkeypatch.setattr(content, "END", 4)
    seen = []
    for text in ("abcd--efgh", "abcd++efgh", "abcd--efgX", "abcd---efgh"):
        file = tmp_path / f"{hashlib.sha256(text.encode()).hexdigest()[:5]}.csv"
        file.write_text(text + "12345678")
        seen.append(content_hash(str(file)))
    assert seen[0] == seen[1] and seen[2] == seen[0] and seen[3] != seen[0]


def test_missing_files_are_named_all_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as told:
        with_content(node(path="a.csv", more="b.csv"))
    assert len(told.value.problems) == 2
    assert "dataset.path=" in str(told.value) and "there is no such file" in str(told.value)


def test_a_relative_path_becomes_absolute_and_a_change_is_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x\n1\n")
    frozen = with_content(node(path="a.csv", more=None))
    assert frozen["path"] == str(tmp_path / "a.csv") and unchanged(frozen)
    Path("a.csv").write_text("x\n2\n")
    content_hash.cache_clear()
    assert not unchanged(frozen)


def test_media_beside_a_table_are_in_the_key(tmp_path):
    folder = folder_with(tmp_path, "data", **{"t.csv": "a,b", "images/a.png": "1"})
    given = {"card": {"files": ["path", "images", "val_path"]}, "images": None, "val_path": None}
    before = with_content(node(path=str(folder / "t.csv"), **given))
    assert before["images"] is None and unchanged(before)
    assert set(before["card"]["content"]) == {"path", "images"}
    (folder / "images" / "a.png").write_text("2")
    content_hash.cache_clear()
    assert not unchanged(before)
    assert deciding(with_content(node(path=str(folder / "t.csv"), **given))) != deciding(before)


def test_files_behind_a_linked_folder_count(tmp_path):
    folder, far = folder_with(tmp_path, "data", a="1"), folder_with(tmp_path, "far", b="1")
    os.symlink(far, folder / "linked")
    before = content_hash(str(folder))
    (far / "b").write_text("2")
    content_hash.cache_clear()
    assert content_hash(str(folder)) != before


def test_results_beside_the_data_do_not_change_the_key(tmp_path):
    folder = folder_with(tmp_path, "data", **{"a.csv": "1"})
    before = content_hash(str(folder))
    for name in ("results/records/00/r.json", "results/claims/c.lock", "results/logs/l.log"):
        folder_with(tmp_path, "data", **{name: "x"})
    content_hash.cache_clear()
    assert content_hash(str(folder)) == before
