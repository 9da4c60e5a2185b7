"""The samples in a bundle: only the files that a run writes, known by their first bytes.

They are looked at, never decoded: a picture's size stands in its first bytes, and whoever shows it
decodes it then.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

from quintain.records import disk, faults
from quintain.records.bundles.archive import Archive
from quintain.records.bundles.manifest import MEDIA, MOST_MEDIUM, SAMPLES
from quintain.records.bundles.strict import strict_json
from quintain.records.media import MOST, read_samples
from quintain.records.store import Store

ROWS = "samples.json"
MOST_FILES = 64  # of one run; ours keep four samples, of at most two files each
MOST_PIXELS = 2**25  # of a picture; ours have some 10,000
NAME = re.compile(r"\d{1,3}\.(png|wav)")

_PNG_HEAD = struct.Struct(">8sI4sII")  # mark, length, "IHDR", width, height
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_HEX = re.compile(r"[0-9a-f]{64}")


def unpack_samples(archive: Archive, store: Store, keys: set[str]) -> int:
    """Write the samples of every cell into the store; how many cells had some.

    Raises:
        ValueError: they are of no record of the bundle, or not such files.
    """
    if SAMPLES not in archive:
        return 0
    done: set[str] = set()
    for line in archive.lines(SAMPLES):
        key, names = _entry(strict_json(line), keys - done)
        files = {name: archive.read(MEDIA + sha, MOST_MEDIUM) for name, sha in names.items()}
        for name, content in files.items():
            check_file(name, content)
        with faults.explained(store.path):
            disk.write_folder(store.samples(key), files)
        if not read_samples(store.samples(key)):
            raise ValueError(f"the samples of {key} are none that can be shown")
        done.add(key)
    return len(done)


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a run's samples that a bundle takes along; {} where there are none to show."""
    if not read_samples(folder):
        return {}
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    return {name: folder / name for name in names if name == ROWS or NAME.fullmatch(name)}


def check_file(name: str, content: bytes) -> None:
    """Raises ValueError where the content is not of the kind that the name says."""
    if name == ROWS:
        if len(content) > MOST:
            raise ValueError(f"{ROWS} has over {MOST:,} bytes")
        strict_json(content)
    elif name.endswith(".png"):
        _check_png(content)
    elif content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("a sound among the samples is no WAV file")


def _entry(value: Any, free: set[str]) -> tuple[str, dict[str, str]]:
    """Key and files (name → SHA-256) of a line."""
    if not isinstance(value, dict) or set(value) != {"key", "files"}:
        raise ValueError(f"a line of {SAMPLES} has not key and files")
    key, files = value["key"], value["files"]
    if not isinstance(key, str) or key not in free:
        raise ValueError(f"{SAMPLES} has a key twice, or one without a record: {str(key)[:40]!r}")
    if not isinstance(files, dict) or not 0 < len(files) <= MOST_FILES:
        raise ValueError(f"the samples of {key} are no list of 1 to {MOST_FILES} files")
    for name, sha in files.items():
        if not (name == ROWS or NAME.fullmatch(name)):
            raise ValueError(f"the samples of {key} have a file {name[:40]!r}, which no run writes")
        if not isinstance(sha, str) or not _HEX.fullmatch(sha):
            raise ValueError(f"the samples of {key} name a file by no hash")
    return key, files


def _check_png(content: bytes) -> None:
    if len(content) < _PNG_HEAD.size:
        raise ValueError("a picture among the samples is no PNG file")
    mark, _, kind, width, height = _PNG_HEAD.unpack_from(content)
    if mark != _PNG_MARK or kind != b"IHDR":
        raise ValueError("a picture among the samples is no PNG file")
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(f"a picture of {width} × {height}; at most {MOST_PIXELS:,} are taken")
