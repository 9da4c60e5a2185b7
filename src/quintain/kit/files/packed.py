"""Text files that lie on disk as they are or gzipped, verified by what is in them."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

from quintain.kit.files.download import DataError, Remote, fetch

LARGEST = 1 << 28  # bytes; what unpacks to more is no file of ours


def fetch_packed(path: Path, remote: Remote) -> None:
    """Make sure that `path`, or `path` with `.gz` behind it, holds the content of `remote`.

    A gzipped file is verified by what it unpacks to, because the same content can be packed into
    different bytes. Where neither file is there, the plain one is downloaded.

    Raises:
        DataError: as `fetch`, or the gzipped file is damaged or holds something else.
    """
    if path.exists() or not (packed := _packed(path)).exists():
        fetch(path, remote)
        return
    content = read_packed(path)
    came = hashlib.sha256(content).hexdigest()
    if came != remote.sha256:
        raise DataError(
            f"{packed} unpacks to {len(content):,} bytes with SHA-256 {came}, expected "
            f"{remote.sha256}; it is truncated, damaged or another version: remove it, and it is "
            "downloaded again"
        )


def read_packed(path: Path) -> bytes:
    """Content of `path`, or of `path` with `.gz` behind it, unpacked.

    Raises:
        DataError: neither is there, or it is damaged or larger than 256 MiB.
    """
    packed = _packed(path)
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
        raise DataError(f"{packed} unpacks to over {LARGEST:,} bytes, which no data set here does")
    return content


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")
