"""Reads a zip that anybody may have made: nothing is unpacked by its name or before it is measured.

Everything that the zip says of itself (names, sizes, how packed) is checked against the limits and
against the manifest before a byte is unpacked, and what is unpacked against the manifest's hashes.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from quintain.records.bundles.manifest import (
    FORMAT,
    MANIFEST,
    MOST_BYTES,
    MOST_LINE,
    MOST_MANIFEST,
    MOST_MEMBERS,
    MOST_RATIO,
    BundleError,
    Manifest,
    is_member,
)
from quintain.records.bundles.strict import strict_json
from quintain.records.faults import StoreError

CHUNK = 2**20  # bytes
RATIO_FROM = 2**20  # bytes; below, a high ratio costs nobody anything
_END = struct.Struct("<4s4H2LH")  # a zip's end: PK56, disks, members, directory's size, comment
_END_MARK, _LONGEST_COMMENT = b"PK\5\6", 2**16
_ENTRY = 46 + 70 + 64  # bytes of a member in the directory: head, our longest name, extra fields
_ZIP64_MARK, _ZIP64_LOCATOR = b"PK\6\7", 20  # bytes before a zip's end, in its 64-bit form
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DAMAGED = (ValueError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError)
"""What `zipfile` raises for a zip that is damaged or of a kind that it does not read."""


class Archive:
    """An open bundle whose outside and whose hashes are right. Members are read as streams."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zip = zipped
        self.manifest = manifest

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.members

    def read(self, name: str, most: int) -> bytes:
        """A whole member; raises ValueError where it is missing or has more than `most` bytes."""
        if name not in self:
            raise ValueError(f"{name} is spoken of and not there")
        if self.manifest.members[name].bytes > most:
            raise ValueError(f"{name} has over {most:,} bytes")
        return self._zip.read(name)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, without their ends; raises ValueError for one that is too long."""
        with self._zip.open(name) as stream:
            while line := stream.readline(MOST_LINE + 1):
                if len(line) > MOST_LINE:
                    raise ValueError(f"a line of {name} has over {MOST_LINE:,} bytes")
                yield line.rstrip(b"\n")


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive of a bundle, checked.

    Raises:
        BundleError: one sentence: not there, no bundle, damaged, of a newer format, or not such as
            Quintain writes.
    """
    if not path.is_file():
        raise BundleError(f"there is no bundle {path}; quintain export --to {path} makes one")
    try:
        with path.open("rb") as handle:
            _check_end(handle)
            with zipfile.ZipFile(handle) as zipped:
                _check_members(zipped.infolist())
                manifest = _manifest(zipped)
                _check_contents(zipped, manifest)
                yield Archive(zipped, manifest)
    except StoreError:
        raise
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror or error})") from error
    except _DAMAGED as error:
        raise BundleError(f"{path} is not taken: {_first_line(error)}") from error


def sha256_of(path: Path) -> str:
    """Of a file's content, in hex: what `sha256sum` prints."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _check_end(handle: BinaryIO) -> None:
    """Before `zipfile` reads the directory into memory: is there one, and is it small?"""
    size = handle.seek(0, 2)
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes; at most {MOST_BYTES:,} are taken")
    handle.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail = handle.read()
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise ValueError("it is neither a folder nor a bundle (no zip, or cut short)")
    _, _, _, _, members, directory, _, _ = _END.unpack_from(tail, at)
    if tail[max(0, at - _ZIP64_LOCATOR) : at].startswith(_ZIP64_MARK):
        raise ValueError("it is a zip in 64-bit form, which no bundle is")
    if members > MOST_MEMBERS or directory > MOST_MEMBERS * _ENTRY:
        raise ValueError(f"it has over {MOST_MEMBERS:,} members")
    handle.seek(0)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Only members that a bundle has, each once, and no more than the limits allow."""
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"it has {len(members):,} members; at most {MOST_MEMBERS:,} are taken")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it has the same member twice")
    for member in members:
        if problem := _wrong(member):
            raise ValueError(f"its member {member.filename[:80]!r} {problem}")
    if (total := sum(member.file_size for member in members)) > MOST_BYTES:
        raise ValueError(f"it unpacks to {total:,} bytes; at most {MOST_BYTES:,} are taken")
    if not any(member.filename == MANIFEST for member in members):
        raise ValueError(f"it has no {MANIFEST}: make bundles with quintain export")


def _wrong(member: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not is_member(member.filename) or member.orig_filename != member.filename:
        return "is none that a bundle has"
    if kind not in (0, stat.S_IFREG):
        return "is a link or another special file"
    if member.flag_bits & 1 or member.compress_type not in _PACKED:
        return "is encrypted, or packed in another way than a bundle's"
    if member.file_size > RATIO_FROM and member.file_size > MOST_RATIO * member.compress_size:
        return f"unpacks to over {MOST_RATIO} times its size"
    return None


def _manifest(zipped: zipfile.ZipFile) -> Manifest:
    if zipped.getinfo(MANIFEST).file_size > MOST_MANIFEST:
        raise ValueError(f"its {MANIFEST} has over {MOST_MANIFEST:,} bytes")
    value = strict_json(zipped.read(MANIFEST))
    asked = value.get("format") if isinstance(value, dict) else None
    if type(asked) is int and asked > FORMAT:
        raise ValueError(
            f"it is of format {asked}, this quintain knows up to {FORMAT}: update quintain"
        )
    if type(asked) is not int or asked != FORMAT:
        raise ValueError(f"its {MANIFEST} has no format that was ever written")
    return Manifest.model_validate(value)


def _check_contents(zipped: zipfile.ZipFile, manifest: Manifest) -> None:
    """Every member is in the manifest with this size and this content, and no other is."""
    found = {m.filename: m for m in zipped.infolist() if m.filename != MANIFEST}
    if set(found) != set(manifest.members):
        raise ValueError(f"its members are not those that its {MANIFEST} lists")
    for name, promised in manifest.members.items():
        if found[name].file_size != promised.bytes or _hash(zipped, name) != promised.sha256:
            raise ValueError(f"{name} is not what its {MANIFEST} says (wrong size or checksum)")
        if "/" in name and name.partition("/")[2] != promised.sha256:
            raise ValueError(f"{name} is not named by its content")


def _hash(zipped: zipfile.ZipFile, name: str) -> str:
    hasher = hashlib.sha256()
    with zipped.open(name) as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines) or type(error).__name__
