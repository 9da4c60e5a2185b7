"""Checks and unpacks the samples in a bundle. Media are never decoded, only their headers read."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Annotated

from pydantic import Field

from quintain.records import filesystem
from quintain.records.bundles.archive import Archive
from quintain.records.bundles.manifest import MAX_MEDIA_BYTES, MEDIA, SAMPLES, Sha256
from quintain.records.bundles.strict_json import parse_strict_json
from quintain.records.field_types import FrozenModel
from quintain.records.filesystem import translate_os_errors
from quintain.records.samples import MAX_BYTES, SAMPLES_FILE, read_samples
from quintain.records.store import Store

MAX_FILES = 64  # of one run; runs keep four samples of at most two files each
MAX_PIXELS = 2**25  # of an image; runs keep about 10,000
_MEDIA_FILE = re.compile(r"\d{1,3}\.(png|wav)")
_PNG_HEADER = struct.Struct(">8sI4sII")  # signature, chunk length, "IHDR", width, height
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class SampleEntry(FrozenModel):
    """A line of samples.jsonl: a cell key, and the files (name → SHA-256) of its samples."""

    key: str
    files: Annotated[dict[str, Sha256], Field(min_length=1, max_length=MAX_FILES)]


def unpack_samples(archive: Archive, store: Store, keys: set[str]) -> int:
    """Write the samples of every cell to the store; return the number of cells with samples.

    Raises:
        ValueError: a cell is not among `keys`, or a file is not of the expected type.
    """
    if SAMPLES not in archive:
        return 0
    unpacked: set[str] = set()
    for line in archive.lines(SAMPLES):
        key, hashes = _parse_entry(line, keys - unpacked)
        files = {n: archive.read(MEDIA + sha, MAX_MEDIA_BYTES) for n, sha in hashes.items()}
        for name, content in files.items():
            check_file(name, content)
        with translate_os_errors(store.path):
            filesystem.write_folder(store.samples(key), files)
        if not read_samples(store.samples(key)):
            raise ValueError(f"no sample of {key} is valid")
        unpacked.add(key)
    return len(unpacked)


def list_sample_files(folder: Path) -> dict[str, Path]:
    """Return the files (name → path) in a folder of samples that a bundle may contain."""
    if not read_samples(folder):
        return {}
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    return {file.name: file for file in files if _is_sample_name(file.name)}


def check_file(name: str, content: bytes) -> None:
    """Raise ValueError if the content does not have the type that the name implies."""
    if name == SAMPLES_FILE:
        if len(content) > MAX_BYTES:
            raise ValueError(f"{SAMPLES_FILE} has over {MAX_BYTES:,} bytes")
        parse_strict_json(content)
    elif name.endswith(".png"):
        _check_png(content)
    elif content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("a recording in the samples is not a WAV file")


def _is_sample_name(name: str) -> bool:
    return name == SAMPLES_FILE or _MEDIA_FILE.fullmatch(name) is not None


def _parse_entry(line: bytes, keys: set[str]) -> tuple[str, dict[str, str]]:
    """Return key and files (name → SHA-256) of a line, whose key must be one of `keys`."""
    entry = SampleEntry.model_validate(parse_strict_json(line))
    if entry.key not in keys:
        raise ValueError(f"{SAMPLES} repeats a key or has one without a record: {entry.key[:40]!r}")
    for name in entry.files:
        if not _is_sample_name(name):
            raise ValueError(f"the samples of {entry.key} have an unexpected file {name[:40]!r}")
    return entry.key, entry.files


def _check_png(content: bytes) -> None:
    header = content[: _PNG_HEADER.size].ljust(_PNG_HEADER.size, b"\0")
    signature, _, chunk, width, height = _PNG_HEADER.unpack(header)
    if signature != _PNG_SIGNATURE or chunk != b"IHDR":
        raise ValueError("an image in the samples is not a PNG file")
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"an image of {width} × {height}; at most {MAX_PIXELS:,} pixels allowed")
