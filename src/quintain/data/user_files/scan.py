"""Scan each file of a user once: hash it, check that it can be read, and read its metadata.

Metadata is cached by the content of files, so that a file that was replaced is read again, and a
file that was moved is not. Failures are not cached, since they may be temporary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from quintain.data.files.file_hashes import hash_files, read_stamp
from quintain.data.files.problems import (
    Problems,
    abbreviate,
    describe_read_error,
    printable_name,
)
from quintain.data.files.user_cache import read_cache, write_cache
from quintain.errors import DataError

Metadata = tuple[float, ...]
"""Numbers that `FileKind.probe` reads from a file, such as its sample rate or its size."""


def _recognize_none(path: Path) -> bool:
    return False


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: plural, for messages ("images").
        extensions: of files that are read, in lower case, with the dot.
        probe: opens a file and returns its metadata; raises DataError, or any error of its decoder,
            if the file cannot be used.
        version: to be increased when `probe` changes, so that cached metadata is read again.
        recognize: whether a file with another extension, or none, is of this kind by its content;
            must be fast and must not raise.
    """

    name: str
    extensions: frozenset[str]
    probe: Callable[[Path], Metadata]
    version: int = 1
    recognize: Callable[[Path], bool] = _recognize_none

    def select(self, files: Iterable[Path]) -> tuple[list[Path], list[str]]:
        """Return the files of this kind, and notes on those that are passed over, by extension."""
        selected: list[Path] = []
        by_content: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for file in files:
            extension = file.suffix.lower()
            if extension in self.extensions:
                selected.append(file)
            elif file.is_file() and self.recognize(file):  # a pipe would block
                selected.append(file)
                by_content[extension] += 1
            else:
                others[extension] += 1
        notes = []
        if by_content:
            notes.append(f"{self.name} recognised by their content: {count_extensions(by_content)}")
        if others:
            notes.append(f"passed over: {count_extensions(others)}")
        return selected, notes


def count_extensions(counts: Counter[str]) -> str:
    """Return counts by extension, the largest first: `6 .heic, 5 without an ending`."""
    names = sorted(counts, key=lambda extension: (-counts[extension], extension))
    texts = (f"{counts[n]:,} {printable_name(n) or 'without an ending'}" for n in names)
    return ", ".join(abbreviate(texts))


@dataclass(frozen=True)
class FileScan:
    """The SHA-256 of a file, its metadata, and why it cannot be used ("" if it can)."""

    sha256: str
    metadata: Metadata = ()
    fault: str = ""


def scan_files(
    files: Sequence[Path], kind: FileKind, folder: Path, workers: int = 2
) -> dict[Path, FileScan]:
    """Return the scans of all files, in order.

    Args:
        files: absolute paths.
        kind: of the files.
        folder: see `hash_files`.
        workers: number of threads that read.
    """
    identity = f"{kind.name} {kind.version} {folder}"
    cached = read_cache("scans", identity)
    stamps = {file: read_stamp(file) for file in files}
    hashes = hash_files(files, folder, workers)

    def scan(file: Path) -> FileScan:
        sha256 = hashes[file]
        if isinstance(sha256, OSError):
            return FileScan("", fault=f"cannot be opened ({sha256.strerror})")
        if (metadata := cached.get(_content_id(file, sha256))) is not None:
            return FileScan(sha256, tuple(metadata))
        result = _probe(file, sha256, kind)
        if read_stamp(file) != stamps[file]:
            return FileScan(sha256, fault="has changed while it was read")
        return result

    with ThreadPoolExecutor(workers) as pool:
        scans = dict(zip(files, pool.map(scan, files), strict=True))
    usable = {_content_id(f, s.sha256): s.metadata for f, s in scans.items() if not s.fault}
    if usable.keys() - cached.keys():
        write_cache("scans", identity, usable)
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


def _round_share_up(part: int, total: int) -> float:
    """Return part / total rounded up to two decimals, or to the first non-zero digit below 0.01.

    >>> _round_share_up(3, 40), _round_share_up(1, 3000)
    (0.08, 0.0004)
    """
    scale: int = max(100, 10 ** len(str((total - 1) // part)))
    return -(-part * scale // total) / scale


def _content_id(file: Path, sha256: str) -> str:
    return f"{sha256}{file.suffix.lower()}"


def _probe(file: Path, sha256: str, kind: FileKind) -> FileScan:
    if not file.stat().st_size:
        return FileScan(sha256, fault="is empty")
    try:
        return FileScan(sha256, tuple(kind.probe(file)))
    except DataError as error:
        return FileScan(sha256, fault=str(error))
    except (ImportError, MemoryError):  # not the fault of the file
        raise
    except Exception as error:  # decoders raise many kinds of errors for a damaged file
        return FileScan(sha256, fault=f"cannot be read ({describe_read_error(error, file)})")
