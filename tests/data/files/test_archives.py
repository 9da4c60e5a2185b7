"""Folders from tar archives are unpacked once, and refused if they are unsafe or damaged."""

from __future__ import annotations

import hashlib
import io
import lzma
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.audio_server import list_files, serve, write_audio

from quintain.data.files.archives import fetch_tar_folder, unpack_tar
from quintain.data.files.download import RemoteFile
from quintain.errors import DataError

__all__ = ["serve"]  # a fixture


def test_a_folder_is_unpacked_from_a_tar_archive_once(
    serve: Callable[..., RemoteFile], tmp_path: Path
) -> None:
    write_audio(tmp_path / "source" / "a.wav", 5, 0)
    remote = serve(tmp_path / "source", "top/inner")
    folder = tmp_path / "data" / "inner"
    for _ in range(2):
        assert fetch_tar_folder(folder, remote, "top/inner") == folder
        assert list_files(folder) == ["a.wav"] and list_files(folder.parent) == ["inner"]
    with pytest.raises(DataError, match="has no folder elsewhere"):
        fetch_tar_folder(tmp_path / "data" / "other", remote, "elsewhere")
    other_hash = RemoteFile(url=remote.url, sha256="0" * 64)
    with pytest.raises(DataError, match="expected 0000"):
        fetch_tar_folder(tmp_path / "data" / "other", other_hash, "top/inner")
    assert [name for name in list_files(folder.parent) if "verified" not in name] == [
        "inner",
        "set.tar.gz",
    ]


def test_an_archive_of_the_user_is_used_and_not_removed(tmp_path: Path) -> None:
    write_audio(tmp_path / "source" / "a.wav", 5, 0)
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "source", "in")
    digest = hashlib.sha256((tmp_path / "set.tar.gz").read_bytes()).hexdigest()
    remote = RemoteFile(url="http://nowhere.invalid/set.tar.gz", sha256=digest)
    fetch_tar_folder(tmp_path / "in", remote, "in")
    assert {"in", "set.tar.gz"} <= set(list_files(tmp_path))
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written to"):
        fetch_tar_folder(tmp_path / "file" / "in", remote, "in")


def make_tar_entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, target, 0
        archive.addfile(entry, io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_tar_entry("../evil"), "unpacking was stopped"),
        (make_tar_entry("a/../../evil"), "unpacking was stopped"),
        (make_tar_entry("link", tarfile.SYMTYPE, "/etc/passwd"), "neither a file nor a folder"),
        (make_tar_entry("hard", tarfile.LNKTYPE, "../x"), "neither a file nor a folder"),
        (make_tar_entry("pipe", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (make_tar_entry("a" * 50)[:-20], "not a complete tar"),
        (b"no archive", "not a complete tar"),
        (b"", "not a complete tar"),
    ],
    ids=["above", "through", "link", "hard link", "pipe", "cut off", "no archive", "empty"],
)
def test_unsafe_and_broken_archives_are_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "evil.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        unpack_tar(tmp_path / "evil.tar.gz", tmp_path / "into")
    assert {path.name for path in tmp_path.rglob("*")} <= {"evil.tar.gz", "into"}


def test_an_absolute_path_is_unpacked_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "odd.tar.gz").write_bytes(make_tar_entry("/odd"))
    unpack_tar(tmp_path / "odd.tar.gz", tmp_path / "into")
    assert list_files(tmp_path / "into") == ["odd"]


def test_a_damaged_xz_archive_is_refused(tmp_path: Path) -> None:
    packed = bytearray(lzma.compress(incompressible_tar()))
    packed[len(packed) // 2 :] = b"\xff" * (len(packed) // 2)
    (tmp_path / "odd.tar.xz").write_bytes(packed)
    with pytest.raises(DataError, match="not a complete tar"):
        unpack_tar(tmp_path / "odd.tar.xz", tmp_path / "into")


def incompressible_tar() -> bytes:
    """Return a tar file with one entry of random bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as entries:
        info = tarfile.TarInfo("a")
        info.size = 200_000
        entries.addfile(info, io.BytesIO(random.Random(0).randbytes(info.size)))
    return buffer.getvalue()
