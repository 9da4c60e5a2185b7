"""Writes bundles. Equal records give equal bytes, so the hash identifies the content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintain._version import __version__
from quintain.errors import BundleError, StoreError
from quintain.records import filesystem
from quintain.records.bundles.archive import MIN_RATIO_BYTES, hash_file
from quintain.records.bundles.manifest import (
    FORMAT,
    MANIFEST,
    MAX_BYTES,
    MAX_MEMBERS,
    MAX_RATIO,
    MEDIA,
    RECORDS,
    SAMPLES,
)
from quintain.records.bundles.samples import MAX_FILES, check_file, list_sample_files
from quintain.records.bundles.strict_json import parse_strict_json
from quintain.records.keys import recompute_key
from quintain.records.redact import redact, redact_record
from quintain.records.schema import OptionNames, Record
from quintain.records.store import Store

SELECTABLE = (*OptionNames.model_fields, "seed", "status")
"""Fields by which `select_records` filters."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that equal records give equal bytes


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """Numbers of records and of records with samples; `notes` say what was left out, and why."""

    records: int
    samples: int
    bytes: int
    sha256: str
    notes: tuple[str, ...]


def select_records(records: Iterable[Record], filters: Mapping[str, str]) -> list[Record]:
    """Return the records that match all filters.

    Args:
        filters: field (one of `SELECTABLE`) → allowed values, separated by commas; "" allows all.

    Raises:
        StoreError: no record has one of the values.
    """
    records, problems = list(records), []
    allowed = {name: set(values.split(",")) for name, values in filters.items() if values}
    for name, values in allowed.items():
        present = {_field_text(record, name) for record in records}
        if missing := sorted(values - present):
            known = ", ".join(sorted(present)) or "none"
            problems.append(f"no record has {name}={','.join(missing)}; known values: {known}")
    if problems:
        raise StoreError("; ".join(problems))
    return [r for r in records if all(_field_text(r, n) in values for n, values in allowed.items())]


def _field_text(record: Record, name: str) -> str:
    return str(getattr(record if name in ("seed", "status") else record.names, name))


def export_bundle(
    records: Iterable[Record],
    store: Store,
    target: Path,
    *,
    samples: bool = False,
    chosen: Sequence[str] = (),
) -> ExportResult:
    """Write records of a store, redacted, to the bundle `target`, by default without samples.

    Records that an import would reject are left out: those whose key is not the one computed from
    their cell, such as those of an earlier version, and those with a number of over 64 bits.
    `chosen` are the filters of the selection, for the manifest.

    Raises:
        BundleError: the target exists and is not a bundle, it cannot be written, or the records
            are too large for one bundle.
    """
    if os.path.exists(target) and not (target.is_file() and zipfile.is_zipfile(target)):
        raise BundleError(f"--to {target} exists and is not a bundle: choose another name")
    redacted = sorted(map(redact_record, records), key=lambda record: record.key)
    valid = [r for r in redacted if _is_importable(r)]
    media = _MediaCollector(store)
    if samples:
        for record in valid:
            media.add(record.key)
    members = {RECORDS: _to_json_lines(record.dump() for record in valid)}
    if media.entries:
        members |= {SAMPLES: _to_json_lines(media.entries), **media.members}
    size = sum(map(len, members.values()))
    if size > MAX_BYTES or len(members) >= MAX_MEMBERS:
        raise BundleError(
            f"{size:,} bytes in {len(members):,} files are too much for one bundle (at most "
            f"{MAX_BYTES:,} and {MAX_MEMBERS:,}): select fewer records, as in dataset=digits"
        )
    notes = _describe_omitted(len(redacted) - len(valid))
    counts = {"records": len(valid), "samples": len(media.entries), "media": len(media.members)}
    _write_zip(target, {MANIFEST: _make_manifest(members, counts, chosen), **members})
    return ExportResult(
        records=len(valid),
        samples=len(media.entries),
        bytes=target.stat().st_size,
        sha256=hash_file(target),
        notes=tuple(notes + media.notes),
    )


def _describe_omitted(count: int) -> list[str]:
    if not count:
        return []
    subject, them = ("1 record was", "it") if count == 1 else (f"{count} records were", "them")
    return [
        f"{subject} left out, because an import would reject {them}: this quintain computes another"
        " key from the cell, or a number does not fit into 64 bits"
    ]


def _is_importable(record: Record) -> bool:
    """Return whether an import would accept the record: its key and its numbers."""
    try:
        parse_strict_json(_to_json_lines([record.dump()]))
    except ValueError:
        return False
    return recompute_key(record) in (None, (record.key, record.group))


class _MediaCollector:
    """Collects the samples for a bundle; files of equal content are stored once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.entries: list[object] = []
        self.members: dict[str, bytes] = {}
        self.notes: list[str] = []

    def add(self, key: str) -> None:
        """Add the samples of a cell; if they are not allowed in a bundle, add a note instead."""
        try:
            paths = list_sample_files(self._store.fetch_samples(key))
            if len(paths) > MAX_FILES:
                raise ValueError(f"over {MAX_FILES} files")
            files = {name: _read_redacted(path) for name, path in paths.items()}
            for name, content in files.items():
                check_file(name, content)
        except (OSError, ValueError) as error:
            self.notes.append(f"the samples of {key} were left out: {error}")
            return
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        self.members |= {MEDIA + hashes[name]: content for name, content in files.items()}
        if files:
            self.entries.append({"key": key, "files": hashes})


def _read_redacted(path: Path) -> bytes:
    """Return the content of a file; samples.json, which contains user data, is redacted."""
    if path.suffix != ".json":
        return path.read_bytes()
    rows = redact(json.loads(path.read_text(encoding="utf-8")))
    return json.dumps(rows, ensure_ascii=False, allow_nan=False).encode()


def _to_json_lines(values: Iterable[object]) -> bytes:
    return b"".join(
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        + b"\n"
        for value in values
    )


def _make_manifest(
    members: dict[str, bytes], counts: dict[str, int], chosen: Sequence[str]
) -> bytes:
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(members.items())
    }
    manifest = {"format": FORMAT, "quintain": __version__, "counts": counts}
    manifest |= {"chosen": list(chosen), "members": listed}
    return json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"


def _write_zip(target: Path, members: dict[str, bytes]) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(part, "w") as zip_file:
            for name, content in members.items():
                info = zipfile.ZipInfo(name, ZIP_DATE)
                info.external_attr = 0o100644 << 16
                info.compress_type = _choose_compression(name, content)
                zip_file.writestr(info, content, compresslevel=9)
        os.replace(part, target)
        filesystem.sync_folder(target.parent)
    except OSError as error:
        raise BundleError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # not created, or its folder cannot be written
            part.unlink()


def _choose_compression(name: str, content: bytes) -> int:
    """Leave PNG and WAV uncompressed, and content whose ratio would exceed the limit of readers."""
    if name.startswith(MEDIA) and content[:1] in b"\x89R":
        return zipfile.ZIP_STORED
    is_large = len(content) > MIN_RATIO_BYTES
    is_extreme = is_large and len(content) > MAX_RATIO * len(zlib.compress(content, 9))
    return zipfile.ZIP_STORED if is_extreme else zipfile.ZIP_DEFLATED
