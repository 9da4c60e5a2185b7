"""Download files once and verify their SHA-256; a failed download leaves no partial file.

`fetch_plain_or_gzip` and `read_plain_or_gzip` serve small files that may be gzipped on disk.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from quintain.data.files.file_hashes import hash_file, read_stamp
from quintain.data.files.resumable_transfer import discard, download, resumable_size
from quintain.errors import DataError

LARGEST = 1 << 28  # bytes; guards against gzip files that unpack to an absurd size


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """The URL of a file and the hexadecimal SHA-256 of its content."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]


def data_folder(data_dir: str | None) -> Path:
    """Return the folder of datasets: `data_dir`, else `QUINTAIN_DATA`, else the user's cache."""
    folder = data_dir or os.environ.get("QUINTAIN_DATA")
    return Path(folder) if folder else platformdirs.user_cache_path("quintain")


def fetch(path: Path, remote: RemoteFile) -> Path:
    """Download `remote` to `path` if it is missing, and verify the content.

    An existing file is hashed once; its stamp (see `file_hashes`) and hash are then written to a
    note next to it, if the folder is writable. If several processes call this at once, one
    downloads and the others wait. An interrupted download is resumed by the next call, if the
    server supports it.

    Raises:
        DataError: the download failed, or the content has another hash. An existing file is never
            replaced, and only a partial file that can be resumed remains.
    """
    if path.exists():
        _verify_once(path, remote.sha256)
        return path
    with lock_for_writing(path):
        if not path.exists():
            part = path.with_name(f".{path.name}.part")
            _download_verified(path, part, remote)
            os.replace(part, path)
    return path


def fetch_plain_or_gzip(path: Path, remote: RemoteFile) -> None:
    """Call `fetch`, unless only `path` with `.gz` appended exists, which is then verified.

    The SHA-256 is that of the unpacked content, because the same content can be compressed to
    different bytes.

    Raises:
        DataError: the download failed, or a file is damaged or has other content.
    """
    packed = _gzip_path(path)
    if path.exists() or not packed.exists():
        fetch(path, remote)
        return
    content = read_plain_or_gzip(path)
    actual = hashlib.sha256(content).hexdigest()
    advice = "remove it, and it is downloaded again"
    _compare_hash(actual, len(content), remote.sha256, f"the content of {packed}", advice)


def read_plain_or_gzip(path: Path) -> bytes:
    """Return the content of `path`, or the unpacked content of `path` with `.gz` appended.

    Raises:
        DataError: neither file exists, or it is damaged or unpacks to more than 256 MiB.
    """
    packed = _gzip_path(path)
    try:
        if path.exists() or not packed.exists():
            return path.read_bytes()
        with gzip.open(packed) as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing: call prepare_data() first") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{packed} cannot be unpacked ({error}): remove it, and try again"
        ) from error
    if len(content) > LARGEST:
        raise DataError(f"{packed} unpacks to over {LARGEST:,} bytes, more than any dataset here")
    return content


def download_part(url: str, part: Path, target: Path) -> bool:
    """Download `url` to the file `part`; return whether several responses were joined.

    If `part` exists from an earlier call, it is resumed.

    Raises:
        DataError: the download failed; the message names the missing file or folder `target`.
    """
    try:
        return download(url, part)
    except OSError as error:
        size = resumable_size(part)
        rest = f"; {size:,} bytes are kept, and the next download resumes there" if size else ""
        raise DataError(
            f"{target} is missing and could not be downloaded: put it there by hand, or set "
            f"QUINTAIN_DATA to a folder that has it ({url}: {_last_line(error)}){rest}"
        ) from error


@contextmanager
def lock_for_writing(path: Path) -> Iterator[None]:
    """Create the folder of `path`, and lock `path` against other processes.

    Raises:
        DataError: the folder cannot be created or written to.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"{path} is missing and its folder cannot be written to ({_last_line(error)}): put it "
            "there by hand, or set QUINTAIN_DATA to a folder that has it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _download_verified(path: Path, part: Path, remote: RemoteFile) -> None:
    """Download to `part` and compare its hash; download it again if a resumed file is wrong."""
    for is_retry in (False, True):
        was_resumed = download_part(remote.url, part, path)
        try:
            subject, size = f"the download from {remote.url}", part.stat().st_size
            _compare_hash(hash_file(part), size, remote.sha256, subject, "try again later")
            return
        except DataError:
            discard(part)
            if is_retry or not was_resumed:
                raise


def _verify_once(path: Path, sha256: str) -> None:
    """Compare the hash of `path`, unless a note with the same stamp and hash exists."""
    note = path.with_name(f".{path.name}.verified")
    line = f"{' '.join(map(str, read_stamp(path)))} {sha256}\n"
    if note.exists() and note.read_text() == line:
        return
    advice = "remove it, and it is downloaded again"
    _compare_hash(hash_file(path), path.stat().st_size, sha256, str(path), advice)
    with suppress(OSError):  # in a read-only folder the file is hashed every time
        note.write_text(line)


def _compare_hash(actual: str, size: int, sha256: str, subject: str, advice: str) -> None:
    if size == 0:
        raise DataError(f"{subject} is empty: {advice}")
    if actual != sha256:
        raise DataError(
            f"{subject} ({size:,} bytes) has SHA-256 {actual}, expected {sha256}; it is "
            f"truncated, damaged or another version: {advice}"
        )


def _last_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[-1] or type(error).__name__


def _gzip_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")
