"""Download folders that are published as zip or tar archives, or check files placed by the user.

An archive is unpacked into a temporary folder, which is then renamed, so that an interrupted
process leaves no partial folder. Links, devices and entries outside the folder are refused.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from quintain.data.files.download import RemoteFile, download_part, fetch, lock_for_writing
from quintain.data.files.file_hashes import hash_file
from quintain.errors import DataError


def fetch_tar_folder(folder: Path, remote: RemoteFile, inner: str) -> Path:
    """If `folder` does not exist, download `remote` and unpack its folder `inner` there.

    An archive next to `folder` that is named as in the URL is used and kept; a downloaded one is
    removed after unpacking. An existing folder is not verified. If several processes call this
    at once, one works and the others wait.

    Raises:
        DataError: the download failed, or the archive is damaged, unsafe or has another SHA-256.
    """
    if folder.exists():
        return folder
    with lock_for_writing(folder):
        if not folder.exists():
            archive = folder.parent / remote.url.rpartition("/")[2]
            is_users_archive = archive.exists()
            fetch(archive, remote)
            with _temporary_folder(folder) as unpacked:
                unpack_tar(archive, unpacked)
                if not (unpacked / inner).is_dir():
                    raise DataError(
                        f"{archive} has no folder {inner}: get it from its official source"
                    )
                os.replace(unpacked / inner, folder)
            if not is_users_archive:
                archive.unlink()
    return folder


def fetch_zip_folder(
    folder: Path, inner: str, url: str, expected_tree_hash: str, suffix: str = ""
) -> Path:
    """If `folder` does not exist, unpack the folder `inner` of the zip file at `url` there.

    The files with `suffix` are verified by their `tree_hash`, because a server that packs an
    archive for each request does not always send the same bytes.

    Raises:
        DataError: the download failed, the archive is damaged or unsafe, or the content differs.
    """
    if not folder.exists():
        with lock_for_writing(folder), _temporary_folder(folder) as part:
            if not folder.exists():
                part.mkdir()
                download_part(url, part / "archive.zip", folder)
                unpack_zip(part / "archive.zip", part / "content")
                if not (part / "content" / inner).is_dir():
                    raise DataError(f"{url} has no folder {inner}: it is not the expected archive")
                _compare_tree_hash(part / "content" / inner, expected_tree_hash, suffix)
                os.replace(part / "content" / inner, folder)
    _compare_tree_hash(folder, expected_tree_hash, suffix)
    return folder


def require_files(folder: Path, expected: Mapping[str, str], layout: str, *, verify: bool) -> None:
    """Check files that the user must provide, because they cannot be downloaded in this form.

    Args:
        folder: folder of the files.
        expected: SHA-256 by file name, or `tree_hash` by `subfolder/*.suffix`.
        layout: sentence on the expected files and their source, for messages.
        verify: whether the content must be as expected.

    Raises:
        DataError: files are missing or differ.
    """
    if not all(_exists(folder / name) for name in expected):
        raise DataError(f"{folder} is missing or incomplete: {layout}")
    actual = {name: _hash(folder / name) if verify else sha256 for name, sha256 in expected.items()}
    differences = [
        f"{name} has {actual[name]}, expected {sha256}"
        for name, sha256 in expected.items()
        if actual[name] != sha256
    ]
    if differences:
        raise DataError(
            f"{folder} differs ({'; '.join(differences)}): files are missing, damaged, or were "
            "created in another way or version; to use your own files, set dataset.verify=false"
        )


def _exists(path: Path) -> bool:
    return path.parent.is_dir() if "*" in path.name else path.is_file()


def _hash(path: Path) -> str:
    return tree_hash(path.parent, path.suffix) if "*" in path.name else hash_file(path)


def tree_hash(folder: Path, suffix: str = "") -> str:
    """Return the SHA-256 of the sorted lines `name sha256` of the files that end in `suffix`."""
    lines = [f"{path.name} {hash_file(path)}\n" for path in sorted(folder.glob(f"*{suffix}"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def unpack_zip(archive: Path, folder: Path) -> None:
    """Unpack a zip file into `folder`.

    Raises:
        DataError: the file is not a complete zip file, or an entry is a link or leads outside.
    """
    try:
        with zipfile.ZipFile(archive) as entries:
            for entry in entries.infolist():
                is_link = stat.S_ISLNK(entry.external_attr >> 16)
                if is_link or not _is_inside(folder / entry.filename, folder):
                    raise DataError(
                        f"the archive's entry {entry.filename!r} points outside its folder, so "
                        "nothing was unpacked: get the archive from its official source"
                    )
            entries.extractall(folder)
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,  # an unknown compression
        RuntimeError,  # encrypted
    ) as error:
        raise DataError(
            f"{archive.name} is not a complete zip file ({error}): try again"
        ) from error


def unpack_tar(archive: Path, folder: Path) -> None:
    """Unpack a tar file, compressed or not, into `folder`, without permissions and owners.

    Entries are checked here, because the filters of `tarfile` need Python 3.11.4.

    Raises:
        DataError: the file is not a complete tar file, or an entry is a link, a device or leads
            outside.
    """
    try:
        with tarfile.open(archive) as entries:
            for entry in entries:
                if not (entry.isfile() or entry.isdir()):
                    raise DataError(
                        f"{archive.name}: {entry.name!r} is neither a file nor a folder, so "
                        "unpacking was stopped: get the archive from its official source"
                    )
                _write_tar_entry(entries, entry, archive, folder)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{archive.name} is not a complete tar file ({error}); try again"
        ) from error


def _write_tar_entry(
    entries: tarfile.TarFile, entry: tarfile.TarInfo, archive: Path, folder: Path
) -> None:
    target = folder / entry.name.lstrip("/")
    if not _is_inside(target, folder):
        raise DataError(
            f"{archive.name}: {entry.name!r} would be extracted outside the destination, so "
            "unpacking was stopped: get the archive from its official source"
        )
    if entry.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = entries.extractfile(entry)
    assert content is not None  # only links and devices have no content
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


@contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """Yield a free path next to `folder`; the folder that the caller creates there is removed."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a killed process
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _compare_tree_hash(folder: Path, expected: str, suffix: str) -> None:
    count = len(list(folder.glob(f"*{suffix}"))) if folder.is_dir() else 0
    if count == 0:
        raise DataError(
            f"{folder} has no {suffix or 'file'}: remove the folder, and it is downloaded again"
        )
    actual = tree_hash(folder, suffix)
    if actual != expected:
        raise DataError(
            f"the {count:,} {suffix or 'files'} of {folder} have the tree hash {actual}, expected "
            f"{expected}; some are missing, damaged or of another version: remove the folder, and "
            "it is downloaded again"
        )
