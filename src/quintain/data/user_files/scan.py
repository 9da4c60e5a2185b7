"""Scan each file of a folder once: check that it can be read, hash it, and read its metadata.

Results are cached in the user's cache folder by path, size and modification time; the cache can be
deleted at any time. Failures are not cached, since they may be temporary.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from quintain.data.files.download import hash_file
from quintain.data.files.problems import Problems, abbreviate, describe_read_error
from quintain.errors import DataError

Metadata = tuple[float, ...]
"""Numbers that `FileKind.probe` reads from a file, such as its sample rate or its size."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: plural, for messages ("images").
        extensions: in lower case, with the dot.
        probe: opens a file and returns its metadata; raises DataError, or any error of its decoder,
            if the file cannot be used.
        version: to be increased when `probe` changes, so that cached metadata is read again.
    """

    name: str
    extensions: frozenset[str]
    probe: Callable[[Path], Metadata]
    version: int = 1


@dataclass(frozen=True)
class FileScan:
    """The SHA-256 of a file, its metadata, and why it cannot be used ("" if it can)."""

    sha256: str
    metadata: Metadata = ()
    fault: str = ""


def scan_files(files: Sequence[Path], kind: FileKind, workers: int = 2) -> dict[Path, FileScan]:
    """Return the scans of all files, in order; unchanged files are taken from the cache."""
    cache_file = _cache_file(files, kind)
    cached = _read_cache(cache_file)
    stamps = {file: _size_and_time(file) for file in files}
    changed = [file for file in files if cached.get(str(file), {}).get("stamp") != stamps[file]]
    with ThreadPoolExecutor(workers) as pool:
        fresh = dict(zip(changed, pool.map(lambda file: _scan(file, kind), changed), strict=True))
    scans = {
        file: fresh[file] if file in fresh else _from_cache(cached[str(file)]) for file in files
    }
    if fresh:
        usable = {file: scan for file, scan in scans.items() if not scan.fault}
        _write_cache(
            cache_file, {str(f): {"stamp": stamps[f], **asdict(scan)} for f, scan in usable.items()}
        )
    return scans


def filter_unreadable(
    faults: Sequence[tuple[str, str]], total: int, kind: str, bad_share: float, problems: Problems
) -> list[str]:
    """Return a note on the files that are left out; add a problem instead if there are too many.

    Args:
        faults: name and fault of each unusable file.
        total: number of all files, including the unusable ones.
        kind: `FileKind.name`.
        bad_share: largest share of files that may be left out.
        problems: collects the problem.
    """
    if not faults:
        return []
    details = "; ".join(abbreviate(dict.fromkeys(f"{name} {fault}" for name, fault in faults)))
    count = f"{len(faults):,} of {total:,} {kind}"
    share = len(faults) / total
    if share <= bad_share:
        return [f"{count} left out: {details}"]
    enough = _round_share_up(len(faults), total)
    hint = f"; bad_share={enough:g} would leave them out" if share < 1 else ""
    problems.add(
        f"{count} ({100 * share:.3g} %) cannot be used, more than bad_share={bad_share:g} "
        f"allows{hint}: {details}"
    )
    return []


def duplicate_notes(hashes: Collection[str], kind: str) -> Iterator[str]:
    """Yield a note on files with equal content, if there are any."""
    if duplicates := len(hashes) - len(set(hashes)):
        yield f"{duplicates:,} of {len(hashes):,} {kind} are copies of others"


def printable_name(name: str | Path) -> str:
    """Return a file name on one line, with bytes that cannot be printed as escapes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _round_share_up(part: int, total: int) -> float:
    """Return part / total rounded up to two decimals, or to the first non-zero digit below 0.01.

    >>> _round_share_up(3, 40), _round_share_up(1, 3000)
    (0.08, 0.0004)
    """
    scale: int = max(100, 10 ** len(str((total - 1) // part)))
    return -(-part * scale // total) / scale


def _scan(file: Path, kind: FileKind) -> FileScan:
    try:
        if not file.stat().st_size:
            return FileScan("", fault="is empty")
        content = hash_file(file)
    except OSError as error:
        return FileScan("", fault=f"cannot be opened ({error.strerror})")
    try:
        return FileScan(content, tuple(kind.probe(file)))
    except DataError as error:
        return FileScan(content, fault=str(error))
    except (ImportError, MemoryError):  # not the fault of the file
        raise
    except Exception as error:  # decoders raise many kinds of errors for a damaged file
        return FileScan(content, fault=f"cannot be read ({describe_read_error(error, file)})")


def _size_and_time(file: Path) -> list[int]:
    try:
        status = file.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _cache_file(files: Sequence[Path], kind: FileKind) -> Path:
    """Return the cache file for the innermost folder that contains all files."""
    folder = os.path.commonpath([os.path.abspath(f) for f in files]) if files else ""
    name = hashlib.sha256(os.fsencode(f"{kind.name} {kind.version} {folder}")).hexdigest()[:32]
    return platformdirs.user_cache_path("quintain") / "scans" / f"{name}.json"


def _read_cache(cache_file: Path) -> dict[str, Any]:
    """Return the entries by path; entries of older versions, which differ in form, are dropped."""
    with suppress(OSError, ValueError):
        entries = json.loads(cache_file.read_text())
        if isinstance(entries, dict):
            return {k: v for k, v in entries.items() if isinstance(v, dict) and "metadata" in v}
    return {}


def _from_cache(entry: dict[str, Any]) -> FileScan:
    return FileScan(str(entry.get("sha256")), tuple(entry["metadata"]))


def _write_cache(cache_file: Path, entries: dict[str, Any]) -> None:
    part = cache_file.with_name(f"{cache_file.name}.{os.getpid()}")
    with suppress(OSError):  # a cache that cannot be written costs only time
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(entries))
        os.replace(part, cache_file)
