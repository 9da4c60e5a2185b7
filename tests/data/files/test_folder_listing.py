"""Which files of a user's folder are data: the same for cell keys and for datasets."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from helpers.record_factory import make_record

from quintain.data.files import file_hashes
from quintain.data.files.file_hashes import hash_file, hash_files
from quintain.data.files.folder_listing import STORE_FOLDERS, is_data_file, list_files
from quintain.records import store as store_module
from quintain.records.store import Store
from quintain.report.formats import render as formats

KEY = "0123456789abcdef" * 2


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in list_files(root).files]


def reasons(root: Path) -> dict[str, str]:
    listing = list_files(root)
    return {path.relative_to(root).as_posix(): why for path, why in listing.left_out.items()}


def test_a_store_of_any_name_is_not_data_from_its_first_file_on(tmp_path: Path) -> None:
    write(tmp_path, "cat/0.png", "dog/0.png")
    Store(tmp_path / "runs of may").check_writable()
    assert reasons(tmp_path) == {"runs of may": "a store of results"}
    write(tmp_path / "runs of may", f"records/01/{KEY}.json", f"samples/{KEY}/samples.json")
    shutil.rmtree(tmp_path / "runs of may/claims")
    assert reasons(tmp_path) == {"runs of may": "a store of results"}
    shutil.rmtree(tmp_path / "runs of may/records")
    assert reasons(tmp_path) == {"runs of may": "a store of results"}
    assert names(tmp_path) == ["cat/0.png", "dog/0.png"]


def test_the_folders_of_a_store_beside_the_classes_are_not_data(tmp_path: Path) -> None:
    """A sweep with store=. and dataset.path=. in one folder."""
    write(tmp_path, "cat/0.png", f"samples/{KEY}/0.png", "plans/a.json")
    Store(tmp_path).check_writable()
    assert names(tmp_path) == ["cat/0.png"]
    assert set(reasons(tmp_path)) == {"claims", "plans", "records", "samples"}


def test_classes_named_like_folders_of_a_store_are_data(tmp_path: Path) -> None:
    """Also if their files are named by a hash of 32 digits, as collections from the web are."""
    write(tmp_path, "records/0.png", f"samples/{KEY}.png", f"logs/{KEY}", f"tune/{KEY}/0.png")
    assert len(names(tmp_path)) == 4 and not reasons(tmp_path)


def test_the_folders_of_a_store_are_known() -> None:
    assert store_module.__doc__ is not None
    lines = store_module.__doc__.splitlines()[2:]
    documented = {line.split("/")[0] for line in lines if "/" in line.split(" ")[0]}
    assert documented <= STORE_FOLDERS and len(documented) >= 5


def test_other_outputs_and_system_files_are_not_data(tmp_path: Path) -> None:
    write(
        tmp_path,
        "cat/0.png",
        "cat/Thumbs.db",
        "cat/@eaDir/0.png/SYNOPHOTO_THUMB_XL.jpg",
        "cat/.hidden.png",
        "wandb/offline-run-20260102_030405-abc/files/media/0.png",
        "outputs/2026-01-02/03-04-05/.hydra/config.yaml",
        "outputs/2026-01-02/03-04-05/0.png",
        "lightning_logs/version_0/0.png",
        "mine/conf/model/a.yaml",
        "mine/plugins/model/a.py",
        "mine/0.png",
        "env/pyvenv.cfg",
        "env/lib/0.png",
        "__MACOSX/cat/0.png",
        "team.qb",
        "nohup.out",
    )
    (tmp_path / "other.html").write_text("<html>")
    assert names(tmp_path) == ["cat/0.png", "other.html"]
    assert reasons(tmp_path) == {
        "__MACOSX": "of the operating system",
        "cat/@eaDir": "of the operating system",
        "cat/Thumbs.db": "of the operating system",
        "env": "a virtual environment",
        "lightning_logs": "outputs of Lightning",
        "mine": "a plugin folder",
        "nohup.out": "a log",
        "outputs/2026-01-02/03-04-05": "outputs of Hydra",
        "team.qb": "a bundle of records",
        "wandb": "outputs of W&B",
    }
    (note,) = list_files(tmp_path).notes(tmp_path)
    assert note.startswith("no data, left out: __MACOSX (of the operating system), ")


@pytest.mark.parametrize("suffix", [".html", ".csv", ".json", ".md", ".tex"])
def test_a_leaderboard_beside_the_data_is_not_data(suffix: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    store.write(make_record())
    board = formats.render_leaderboard(store, formats.SUFFIXES[suffix])
    (tmp_path / f"board{suffix}").write_text(board)
    (tmp_path / f"other{suffix}").write_text("file,text\n")
    assert names(tmp_path) == [f"other{suffix}"]
    assert is_data_file(tmp_path / f"other{suffix}")
    assert not is_data_file(tmp_path / f"board{suffix}")


def test_the_plugins_of_a_folder_that_is_also_a_plugin_folder_are_not_data(tmp_path: Path) -> None:
    write(tmp_path, "cat/0.png", "conf/model/a.yaml", "plugins/model/a.py", "plugins/0.png")
    assert names(tmp_path) == ["cat/0.png"]


def test_links_are_followed_and_loops_named(tmp_path: Path) -> None:
    write(tmp_path, "far/0.png", "data/a.png")
    (tmp_path / "data/b").symlink_to(tmp_path / "far")
    (tmp_path / "data/c").symlink_to(tmp_path / "data")
    (tmp_path / "data/d").symlink_to(tmp_path / "gone")
    assert names(tmp_path / "data") == ["a.png", "b/0.png", "d"]
    (problem,) = list_files(tmp_path / "data").problems
    assert problem.endswith("c is a link to a folder that contains it: remove it")


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="not a regular file"):
        hash_file(tmp_path / "pipe.png")


def test_hashes_are_remembered_until_the_change_time_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_hashes, "RACY_SECONDS", 0.05)
    read: list[Path] = []

    def hash_and_count(path: Path) -> str:
        read.append(path)
        return hash_file(path)

    monkeypatch.setattr(file_hashes, "hash_file", hash_and_count)
    file = write(tmp_path, "a") / "a"
    hash_files([file], tmp_path)
    hash_files([file], tmp_path)
    assert len(read) == 2  # changed too shortly before
    time.sleep(0.1)
    first = [hash_files([file], tmp_path) for _ in range(3)]
    assert len(read) == 3 and first[0] == first[1] == first[2]
    file.write_text("b")
    os.utime(file, (315532800, 315532800))
    assert hash_files([file], tmp_path) != first[0]
    time.sleep(0.1)
    hash_files([file], tmp_path)
    file_hashes.forget_hashes()
    hash_files([file], tmp_path)
    assert len(read) == 6
    file.unlink()
    assert isinstance(hash_files([file], tmp_path)[file], FileNotFoundError)
