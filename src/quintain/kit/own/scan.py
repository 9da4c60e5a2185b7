"""A first look into each file of a folder: can it be read, what is in it, is it there twice.

A look reads the whole file, so what was seen is remembered in the user's cache, by path, size and
time of change. It can be deleted at any time. What was wrong is not remembered: a fault may pass.
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

import pooch

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, reason, some
from quintain.kit.ondisk import file_hash

Facts = tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: in the plural, for sentences ("images").
        endings: of file names, in small letters, with the dot.
        probe: opens a file and says what is in it, as numbers; raises DataError, or
            whatever its decoder raises, for a file that cannot be used.
        version: raised when `probe` says other things.
    """

    name: str
    endings: frozenset[str]
    probe: Callable[[Path], Facts]
    version: int = 1


@dataclass(frozen=True)
class Seen:
    """What was seen in a file: SHA-256 of its content, and what its kind's `probe` says.

    `wrong` says why it cannot be used, else it is "".
    """

    sha256: str
    facts: Facts = ()
    wrong: str = ""


def scan(files: Sequence[Path], kind: Kind, workers: int = 2) -> dict[Path, Seen]:
    """A look into each file, in the order given; only into those that changed since the last."""
    memory = _memory(files, kind)
    known = _recall(memory)
    stamps = {file: _stamp(file) for file in files}
    known = {name: entry for name, entry in known.items() if not entry.get("wrong")}
    new = [file for file in files if known.get(str(file), {}).get("stamp") != stamps[file]]
    with ThreadPoolExecutor(workers) as pool:
        looks = pool.map(lambda file: _look(file, kind), new)
        fresh = dict(zip(new, looks, strict=True))
    seen = {f: fresh[f] if f in fresh else _seen(known[str(f)]) for f in files}
    if fresh:
        fit = [file for file in files if not seen[file].wrong]
        _remember(memory, {str(f): {"stamp": stamps[f], **asdict(seen[f])} for f in fit})
    return seen


def sift(
    wrong: Sequence[tuple[str, str]], total: int, kind: str, bad_share: float, problems: Problems
) -> Iterator[str]:
    """A note on the files that are left out; a problem where they are too many.

    Args:
        wrong: the name of each file that cannot be used, and why.
        total: of all files, the unusable ones included.
        kind: what they are, in the plural.
        bad_share: of all files, how many may be left out.
    """
    if not wrong:
        return
    told = "; ".join(some(dict.fromkeys(f"{name} {why}" for name, why in wrong)))
    count = f"{len(wrong):,} of {total:,} {kind}"
    share = len(wrong) / total
    if share <= bad_share:
        yield f"{count} left out: {told}"
        return
    enough = _enough(len(wrong), total)
    way = f"; bad_share={enough:g} would go on without them" if share < 1 else ""
    problems.add(
        f"{count} ({100 * share:.3g} %) cannot be used, more than bad_share={bad_share:g} "
        f"allows{way}: {told}"
    )


def _enough(few: int, total: int) -> float:
    """The share of a few in hundredths, rounded up; below one of them with a single digit.

    >>> _enough(3, 40), _enough(1, 3000)
    (0.08, 0.0004)
    """
    fine: int = max(100, 10 ** len(str((total - 1) // few)))
    return -(-few * fine // total) / fine


def copies(hashes: Collection[str], kind: str) -> Iterator[str]:
    """A note on files of equal content."""
    if again := len(hashes) - len(set(hashes)):
        yield f"{again:,} of {len(hashes):,} {kind} are copies of others"


def shown(name: str | Path) -> str:
    """A file's name as it can be printed on one line, whatever bytes it has."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _look(file: Path, kind: Kind) -> Seen:
    try:
        if not file.stat().st_size:
            return Seen("", wrong="is empty")
        content = file_hash(file)
    except OSError as error:
        return Seen("", wrong=f"cannot be opened ({error.strerror})")
    try:
        return Seen(content, tuple(kind.probe(file)))
    except DataError as error:
        return Seen(content, wrong=str(error))
    except (ImportError, MemoryError):  # no fault of the file
        raise
    except Exception as error:  # decoders raise anything for a file that is none of theirs
        return Seen(content, wrong=f"cannot be read ({reason(error, file)})")


def _stamp(file: Path) -> list[int]:
    try:
        about = file.stat()
    except OSError:
        return []
    return [about.st_size, about.st_mtime_ns]


def _memory(files: Sequence[Path], kind: Kind) -> Path:
    """The file of what was seen below the folder that all files share."""
    where = os.path.commonpath([os.path.abspath(f) for f in files]) if files else ""
    name = hashlib.sha256(os.fsencode(f"{kind.name} {kind.version} {where}")).hexdigest()[:32]
    return Path(pooch.os_cache("quintain")) / "scans" / f"{name}.json"


def _recall(memory: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        known = json.loads(memory.read_text())
        if isinstance(known, dict):
            return {k: v for k, v in known.items() if isinstance(v, dict)}
    return {}


def _seen(entry: dict[str, Any]) -> Seen:
    return Seen(str(entry.get("sha256")), tuple(entry.get("facts", ())), str(entry.get("wrong")))


def _remember(memory: Path, seen: dict[str, Any]) -> None:
    part = memory.with_name(f"{memory.name}.{os.getpid()}")
    with suppress(OSError):  # a cache that cannot be written to costs time only
        memory.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(seen))
        os.replace(part, memory)
