"""Reads the zip of a bundle, which is not trusted.

Names, sizes and compression of the members are checked before anything is unpacked; the unpacked
content is checked against the hashes in the manifest. No path in the zip is ever written to.
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

from quintain.errors import BundleError, StoreError
from quintain.records.bundles.manifest import (
    FORMAT,
    MANIFEST,
    MAX_BYTES,
    MAX_LINE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_MEMBERS,
    MAX_RATIO,
    Manifest,
    is_member_name,
)
from quintain.records.bundles.strict_json import parse_strict_json
from quintain.records.record_file import shorten_error

MIN_RATIO_BYTES = 2**20  # the compression ratio of smaller members is not limited
_END = struct.Struct("<4s4H2LH")  # end of central directory: signature, disks, members, sizes
_END_SIGNATURE, _MAX_COMMENT = b"PK\5\6", 2**16
_ENTRY_BYTES = 46 + 70 + 64  # one entry of the central directory: header, longest name, extras
_ZIP64_SIGNATURE, _ZIP64_LOCATOR_BYTES = b"PK\6\7", 20  # precedes the end record of a ZIP64 file
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ZIP_ERRORS = (ValueError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError)
"""What `zipfile` raises for a zip that is damaged or uses a feature that it does not support."""


class Archive:
    """An open bundle. The names, sizes and hashes of its members have been checked."""

    def __init__(self, zip_file: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zip = zip_file
        self.manifest = manifest

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.members

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the content of a member; ValueError if it is missing or exceeds `max_bytes`."""
        if name not in self:
            raise ValueError(f"{name} is missing, although another member refers to it")
        if self.manifest.members[name].bytes > max_bytes:
            raise ValueError(f"{name} has over {max_bytes:,} bytes")
        return self._zip.read(name)

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a member without line breaks; ValueError if one is too long."""
        with self._zip.open(name) as stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"a line of {name} has over {MAX_LINE_BYTES:,} bytes")
                yield line.rstrip(b"\n")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open and check the archive of a bundle.

    Raises:
        BundleError: it does not exist, is not a bundle, is damaged, has a newer format, or differs
            from what Quintain writes. ValueErrors in the `with` block become BundleErrors too.
    """
    if not path.is_file():
        raise BundleError(f"there is no bundle {path}; quintain export --to {path} creates one")
    try:
        with path.open("rb") as file:
            _check_end(file)
            with zipfile.ZipFile(file) as zip_file:
                _check_members(zip_file.infolist())
                manifest = _read_manifest(zip_file)
                _check_contents(zip_file, manifest)
                yield Archive(zip_file, manifest)
    except StoreError:  # a ValueError, which is not to be translated below
        raise
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror or error})") from error
    except _ZIP_ERRORS as error:
        raise BundleError(f"{path} is not accepted: {shorten_error(error)}") from error


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_end(file: BinaryIO) -> None:
    """Check the end record, before `zipfile` reads the whole central directory into memory."""
    size = file.seek(0, 2)
    if size > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes; at most {MAX_BYTES:,} are allowed")
    file.seek(max(0, size - _END.size - _MAX_COMMENT))
    tail = file.read()
    start = tail.rfind(_END_SIGNATURE)
    if start < 0 or len(tail) - start < _END.size:
        raise ValueError("it is not a bundle (not a zip file, or truncated)")
    _, _, _, _, members, directory_bytes, _, _ = _END.unpack_from(tail, start)
    if tail[max(0, start - _ZIP64_LOCATOR_BYTES) : start].startswith(_ZIP64_SIGNATURE):
        raise ValueError("it is a ZIP64 file; bundles are ordinary zip files")
    if members > MAX_MEMBERS or directory_bytes > MAX_MEMBERS * _ENTRY_BYTES:
        raise ValueError(f"it has over {MAX_MEMBERS:,} members")
    file.seek(0)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Check that all names are expected and unique, and that no limit is exceeded."""
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"it has {len(members):,} members; at most {MAX_MEMBERS:,} are allowed")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it contains a member twice")
    for member in members:
        if problem := _find_problem(member):
            raise ValueError(f"its member {member.filename[:80]!r} {problem}")
    if (total := sum(member.file_size for member in members)) > MAX_BYTES:
        raise ValueError(f"it unpacks to {total:,} bytes; at most {MAX_BYTES:,} are allowed")
    if not any(member.filename == MANIFEST for member in members):
        raise ValueError(f"it has no {MANIFEST}: create bundles with quintain export")


def _find_problem(member: zipfile.ZipInfo) -> str | None:
    """Return why a member is rejected, as the end of a sentence; None if it is accepted."""
    if not is_member_name(member.filename) or member.orig_filename != member.filename:
        return "is not expected in a bundle"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or another special file"
    if member.flag_bits & 1 or member.compress_type not in _COMPRESSIONS:
        return "is encrypted, or its compression method is not allowed"
    if member.file_size > MIN_RATIO_BYTES and member.file_size > MAX_RATIO * member.compress_size:
        return f"unpacks to over {MAX_RATIO} times its compressed size"
    return None


def _read_manifest(zip_file: zipfile.ZipFile) -> Manifest:
    if zip_file.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise ValueError(f"its {MANIFEST} has over {MAX_MANIFEST_BYTES:,} bytes")
    value = parse_strict_json(zip_file.read(MANIFEST))
    version = value.get("format") if isinstance(value, dict) else None
    if type(version) is int and version > FORMAT:
        raise ValueError(
            f"it has format {version}; this quintain reads up to {FORMAT}: update quintain"
        )
    if type(version) is not int or version != FORMAT:
        raise ValueError(f"the format in its {MANIFEST} is unknown")
    return Manifest.model_validate(value)


def _check_contents(zip_file: zipfile.ZipFile, manifest: Manifest) -> None:
    """Check that the manifest lists exactly the members, with the right sizes and hashes."""
    members = {m.filename: m for m in zip_file.infolist() if m.filename != MANIFEST}
    if set(members) != set(manifest.members):
        raise ValueError(f"its members differ from the list in its {MANIFEST}")
    for name, listed in manifest.members.items():
        with zip_file.open(name) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        if members[name].file_size != listed.bytes or sha256 != listed.sha256:
            raise ValueError(f"{name} differs from its {MANIFEST} (wrong size or checksum)")
        if "/" in name and name.partition("/")[2] != listed.sha256:
            raise ValueError(f"the name of {name} is not the hash of its content")
