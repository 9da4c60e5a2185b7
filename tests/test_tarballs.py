"""Folders out of tar archives: fetched once, and refused where they are hostile or broken."""

from __future__ import annotations

import hashlib
import io
import lzma
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sound_sites import left_in, serve, write

from quintain.kit.files.download import DataError, Remote
from quintain.kit.files.tarballs import fetch_folder, unpack_tar

__all__ = ["serve"]  # a fixture


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
    ids=["above", "through", "link", "hard link", "pipe", "cut off", "no archive", "empty"],
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
