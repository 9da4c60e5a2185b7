"""Folders that come as a tar archive: fetched, verified, unpacked beside, and moved into place."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import zlib
from pathlib import Path

from filelock import FileLock

from quintain.kit.files.download import DataError, Remote, fetch


def fetch_folder(folder: Path, remote: Remote, inner: str) -> Path:
    """Make sure that `folder` is there: else `inner` out of the archive at `remote`.

    An archive that lies beside `folder` already, under the name of its address, is used and kept;
    one that is downloaded is removed when it is unpacked. A folder that is there is not looked
    into. Of several processes one works and the others wait.

    Raises:
        DataError: no download possible, another SHA-256, or a broken or hostile archive.
    """
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock")).acquire()
    except OSError as error:
        raise DataError(
            f"{folder} is missing and its folder cannot be written to ({error}): put it there by "
            "hand, or set QUINTAIN_DATA to a folder that has it"
        ) from error
    with lock:
        if not folder.exists():
            archive = folder.parent / remote.url.rpartition("/")[2]
            kept = archive.exists()
            _unpack_into_place(fetch(archive, remote), inner, folder)
            if not kept:
                archive.unlink()
    return folder


def _unpack_into_place(archive: Path, inner: str, folder: Path) -> None:
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
    try:
        unpack_tar(archive, part)
        if not (part / inner).is_dir():
            raise DataError(f"{archive} has no folder {inner}: get it from its official source")
        os.replace(part / inner, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def unpack_tar(archive: Path, folder: Path) -> None:
    """Unpack a tar file, compressed or not, into `folder`.

    Raises:
        DataError: it is no tar file, is damaged, or an entry would land outside, is a link or a
            device.
    """
    try:
        with tarfile.open(archive) as entries:
            for entry in entries:
                if not (entry.isfile() or entry.isdir()):
                    raise DataError(
                        f"{archive.name}: {entry.name!r} is neither a file nor a folder, so "
                        "unpacking was stopped: get the archive from its official source"
                    )
                _write(entries, entry, archive, folder)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{archive.name} is no complete tar file ({error}); try again") from error


def _write(entries: tarfile.TarFile, entry: tarfile.TarInfo, archive: Path, folder: Path) -> None:
    """One entry, its rights and owner left out; tarfile's own filters need Python 3.11.4."""
    target = folder / entry.name.lstrip("/")
    if not target.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{archive.name}: {entry.name!r} would be extracted outside the destination, so "
            "unpacking was stopped: get the archive from its official source"
        )
    if entry.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = entries.extractfile(entry)
    assert content is not None  # it is a file
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
