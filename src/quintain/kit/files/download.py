"""Files from elsewhere: fetched once, verified always, and never half written."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pooch
from filelock import FileLock

from quintain.kit.files.transfer import discard, download, kept


class DataError(ValueError):
    """Data that is missing or not what it should be; says what was expected and what to try."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file somewhere, its address and the SHA-256 of its content in hexadecimal."""

    url: str
    sha256: str


def data_folder(data_dir: str | None) -> Path:
    """The folder of all data: as given, else `QUINTAIN_DATA`, else a cache folder of the user."""
    return Path(data_dir or os.environ.get("QUINTAIN_DATA") or pooch.os_cache("quintain"))


def fetch(path: Path, remote: Remote) -> Path:
    """Make sure that `path` holds the content of `remote`; download it where it is missing.

    A file that is there is hashed once; its size, time and hash are then remembered beside it, if
    the folder can be written to. Of several processes one downloads and the others wait.

    A download that broke off is continued by the next call, where the server allows it.

    Raises:
        DataError: no download possible, or the content has another hash. An existing file is
            never replaced, and nothing is left behind but what can be continued.
    """
    if path.exists():
        _verify(path, remote.sha256)
        return path
    with _sole_writer(path):
        if not path.exists():
            part = _part_of(path)
            _arrive(path, part, remote)
            os.replace(part, path)
    return path


def fetch_tree(folder: Path, inner: str, url: str, tree: str, suffix: str = "") -> Path:
    """Make sure that `folder` holds the folder `inner` of the zip at `url`; download if missing.

    Archives made on request have no stable bytes, so the content is verified: see `tree_hash`.

    Raises:
        DataError: as `fetch`, or the archive is broken or reaches out of its folder.
    """
    if not folder.exists():
        with _sole_writer(folder):
            if not folder.exists():
                with _arriving(folder) as part:
                    part.mkdir()
                    _download(url, part / "archive.zip", folder)
                    unpack(part / "archive.zip", part / "content")
                    _compare_tree(part / "content" / inner, tree, suffix)
                    os.replace(part / "content" / inner, folder)
    _compare_tree(folder, tree, suffix)
    return folder


def tree_hash(folder: Path, suffix: str = "") -> str:
    """SHA-256 over lines `name sha256` of the files in `folder` that end in `suffix`, sorted."""
    lines = [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted(folder.glob(f"*{suffix}"))
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into `folder`.

    Raises:
        DataError: it is no zip file, is damaged, or an entry would land outside or is a link.
    """
    try:
        with zipfile.ZipFile(archive) as entries:
            for entry in entries.infolist():
                _refuse_escape(entry, folder)
            entries.extractall(folder)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{archive.name} is no complete zip file ({error}); try again") from error


def _refuse_escape(entry: zipfile.ZipInfo, folder: Path) -> None:
    target = (folder / entry.filename).resolve()
    link = stat.S_ISLNK(entry.external_attr >> 16)
    if link or not target.is_relative_to(folder.resolve()):
        raise DataError(
            f"the archive's entry {entry.filename!r} points outside its folder, so nothing was "
            "unpacked: get the archive from its official source"
        )


def _arrive(path: Path, part: Path, remote: Remote) -> None:
    """Download into `part` and compare; what was put together and does not fit begins anew."""
    for anew in (False, True):
        pieces = _download(remote.url, part, path)
        try:
            _compare(part, remote.sha256, f"what came from {remote.url}", "try again later")
            return
        except DataError:
            discard(part)
            if anew or not pieces:
                raise


def _download(url: str, to: Path, wanted: Path) -> bool:
    """The content at `url` → the file `to`; whether it came in several pieces."""
    try:
        return download(url, to)
    except OSError as error:
        size = kept(to)
        rest = f"; {size:,} bytes are kept, and the next try continues there" if size else ""
        raise DataError(
            f"{wanted} is missing and could not be downloaded: put it there by hand, or set "
            f"QUINTAIN_DATA to a folder that has it ({url}: {_last(error)}){rest}"
        ) from error


def _last(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[-1] or type(error).__name__


@contextmanager
def _sole_writer(path: Path) -> Iterator[None]:
    """Make the folder of `path` and keep other processes from writing the same."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"{path} is missing and its folder cannot be written to ({_last(error)}): put it "
            "there by hand, or set QUINTAIN_DATA to a folder that has it"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _arriving(path: Path) -> Iterator[Path]:
    """A place on the same disk for what is not yet complete; gone afterwards, whatever happens."""
    part = _part_of(path)
    _remove(part)  # left by a process that was killed
    try:
        yield part
    finally:
        _remove(part)


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _verify(path: Path, sha256: str) -> None:
    """Hash `path`, unless a stamp beside it says that this very file was hashed before."""
    stamp = path.with_name(f".{path.name}.verified")
    about = path.stat()
    line = f"{about.st_size} {about.st_mtime_ns} {sha256}\n"
    if stamp.exists() and stamp.read_text() == line:
        return
    _compare(path, sha256, str(path), "remove it, and it is downloaded again")
    with suppress(OSError):  # a folder that is only read is verified every time
        stamp.write_text(line)


def _compare(path: Path, sha256: str, what: str, advice: str) -> None:
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{what} is empty: {advice}")
    with path.open("rb") as file:
        came = hashlib.file_digest(file, "sha256").hexdigest()
    if came != sha256:
        raise DataError(
            f"{what} ({size:,} bytes) has SHA-256 {came}, expected {sha256}; it is truncated, "
            f"damaged or another version: {advice}"
        )


def _compare_tree(folder: Path, tree: str, suffix: str) -> None:
    count = len(list(folder.glob(f"*{suffix}"))) if folder.is_dir() else 0
    if count == 0:
        raise DataError(
            f"{folder} holds no {suffix or 'file'}: remove the folder, and it is downloaded again"
        )
    came = tree_hash(folder, suffix)
    if came != tree:
        raise DataError(
            f"the {count:,} {suffix or 'files'} of {folder} have the tree hash {came}, expected "
            f"{tree}; some are missing, damaged or of another version: remove the folder, and it "
            "is downloaded again"
        )
