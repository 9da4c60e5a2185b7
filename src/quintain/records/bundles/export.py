"""Writes a bundle: the same records give the same bytes, so that its hash names its content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import quintain
from quintain.records import disk
from quintain.records.bundles.archive import RATIO_FROM, sha256_of
from quintain.records.bundles.manifest import (
    FORMAT,
    MANIFEST,
    MEDIA,
    MOST_BYTES,
    MOST_MEMBERS,
    MOST_RATIO,
    RECORDS,
    SAMPLES,
    BundleError,
)
from quintain.records.bundles.samples import MOST_FILES, check_file, files_of
from quintain.records.keys import recomputed
from quintain.records.schema import Record
from quintain.records.scrub import scrub, scrub_record
from quintain.records.store import Store

EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's first moment: when it was made is none of its content


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What a bundle holds, its SHA-256, and what was left out."""

    records: int
    samples: int
    bytes: int
    sha256: str
    notes: tuple[str, ...]


def export(
    records: Iterable[Record],
    store: Store,
    target: Path,
    *,
    samples: bool = False,
    chosen: Sequence[str] = (),
) -> Exported:
    """Write records, scrubbed, and with `samples` what their runs kept, into a bundle.

    Records whose cell does not give their key, such as those of an earlier quintain, are left out,
    because nobody would take them.

    Raises:
        BundleError: the target is another file than a bundle, cannot be written, or there is too
            much for one bundle.
    """
    _check_target(target)
    every = sorted((scrub_record(record) for record in records), key=lambda record: record.key)
    fit = [r for r in every if recomputed(r) in (None, (r.key, r.group))]
    media = _Media(store)
    if samples:
        for record in fit:
            media.add(record.key)
    members = {RECORDS: _lines(record.dump() for record in fit)}
    if media.lines:
        members |= {SAMPLES: _lines(media.lines), **media.members}
    _check_size(members)
    counts = {"records": len(fit), "samples": len(media.lines), "media": len(media.members)}
    _write(target, _with_manifest(members, counts, chosen))
    left = len(every) - len(fit)
    words = "1 record was" if left == 1 else f"{left} records were"
    notes = [f"{words} left out: the cell does not give the key, by this quintain's way"]
    return Exported(
        records=len(fit),
        samples=len(media.lines),
        bytes=target.stat().st_size,
        sha256=sha256_of(target),
        notes=tuple(notes[: left > 0] + media.notes),
    )


class _Media:
    """Samples on their way into a bundle, each content once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lines: list[object] = []
        self.members: dict[str, bytes] = {}
        self.notes: list[str] = []

    def add(self, key: str) -> None:
        """The samples of a cell; what no bundle takes is left out, and said."""
        try:
            files = {n: _content(p) for n, p in files_of(self._store.bring_samples(key)).items()}
            if len(files) > MOST_FILES:
                raise ValueError(f"over {MOST_FILES} files")
            for name, content in files.items():
                check_file(name, content)
        except (OSError, ValueError) as error:
            self.notes.append(f"the samples of {key} were left out: {error}")
            return
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        self.members |= {MEDIA + hashes[name]: content for name, content in files.items()}
        if files:
            self.lines.append({"key": key, "files": hashes})


def _content(path: Path) -> bytes:
    """A file's bytes; of samples.json, which quotes the data, without secrets."""
    if path.suffix != ".json":
        return path.read_bytes()
    rows = scrub(json.loads(path.read_text(encoding="utf-8")))
    return json.dumps(rows, ensure_ascii=False, allow_nan=False).encode()


def _lines(values: Iterable[object]) -> bytes:
    return b"".join(
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        + b"\n"
        for value in values
    )


def _with_manifest(
    members: dict[str, bytes], counts: dict[str, int], chosen: Sequence[str]
) -> dict[str, bytes]:
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(members.items())
    }
    manifest = {"format": FORMAT, "quintain": quintain.__version__, "counts": counts}
    manifest |= {"chosen": list(chosen), "members": listed}
    return {MANIFEST: json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n", **members}


def _check_target(target: Path) -> None:
    if os.path.exists(target) and not (target.is_file() and zipfile.is_zipfile(target)):
        raise BundleError(f"--to {target} is there and is no bundle: choose another name")


def _check_size(members: dict[str, bytes]) -> None:
    size = sum(map(len, members.values()))
    if size > MOST_BYTES or len(members) >= MOST_MEMBERS:
        raise BundleError(
            f"{size:,} bytes in {len(members):,} files are too much for one bundle (at most "
            f"{MOST_BYTES:,} and {MOST_MEMBERS:,}): choose fewer, as in dataset=digits"
        )


def _write(target: Path, members: dict[str, bytes]) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(part, "w") as zipped:
            for name, content in members.items():
                info = zipfile.ZipInfo(name, EPOCH)
                info.external_attr = 0o100644 << 16
                info.compress_type = _packing(name, content)
                zipped.writestr(info, content, compresslevel=9)
        os.replace(part, target)
        disk.sync_folder(target.parent)
    except OSError as error:
        raise BundleError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # not there, or where nothing can be
            part.unlink()


def _packing(name: str, content: bytes) -> int:
    """As it is where packing is no use (PNG, RIFF), or so much that a reader suspects a bomb."""
    if name.startswith(MEDIA) and content[:1] in b"\x89R":
        return zipfile.ZIP_STORED
    dense = len(content) > RATIO_FROM and len(content) > MOST_RATIO * len(zlib.compress(content, 9))
    return zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
