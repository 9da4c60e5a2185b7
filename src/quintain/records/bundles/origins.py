"""The origins of imported records: which bundle each came with, and when.

imports/<SHA-256 of the bundle>.json    time, version of quintain, key → hash of each record

If a local run replaces an imported record, its hash differs, and it no longer has an origin.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from quintain.records import filesystem
from quintain.records.field_types import FrozenModel
from quintain.records.filesystem import translate_os_errors
from quintain.records.precedence import content_hash
from quintain.records.store import Store


class ImportEntry(FrozenModel):
    """One imported bundle."""

    bundle: str  # SHA-256
    imported_at: str
    quintain: str  # version that exported the bundle
    records: dict[str, str]  # key → hash of the record's file
    unverified: list[str] = Field(default_factory=list)  # keys, see `ImportResult`


class Origin(NamedTuple):
    """The SHA-256 of the bundle that a record was imported from, and when."""

    bundle: str
    imported_at: str
    verified: bool


def read_origins(store: Store) -> dict[str, Origin]:
    """Return key → origin of every imported record that has not been replaced since."""
    origins: dict[str, Origin] = {}
    for file in sorted((store.path / "imports").glob("*.json")):
        try:
            entry = ImportEntry.model_validate_json(filesystem.read_regular_file(file))
        except (OSError, ValidationError) as error:
            store.add_problem(f"{file} is not valid ({type(error).__name__}); ignored")
            continue
        for key, expected in entry.records.items():
            if _hash_record(store.file(key)) == expected:
                origin = Origin(entry.bundle, entry.imported_at, key not in entry.unverified)
                origins.setdefault(key, origin)
    return origins


@contextmanager
def imported_with(store: Store, entry: ImportEntry) -> Iterator[None]:
    """Write the entry of an import before its records are written in the `with` block.

    If the bundle was imported before, its entry is extended. If the block fails, the file is as it
    was before.

    Raises:
        StoreError: the store cannot be written.
    """
    file = store.path / "imports" / f"{entry.bundle}.json"
    with translate_os_errors(store.path):
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_bytes() if file.exists() else None
        if before is not None:
            entry = _extend_entry(before, entry)
        _replace(file, json.dumps(entry.model_dump(), indent=1, sort_keys=True).encode())
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk, perhaps; the first error is the cause
            file.unlink() if before is None else _replace(file, before)
        raise


def _replace(file: Path, content: bytes) -> None:
    os.replace(filesystem.write_temporary(file, content), file)
    filesystem.sync_folder(file.parent)


def _extend_entry(before: bytes, entry: ImportEntry) -> ImportEntry:
    try:
        earlier = ImportEntry.model_validate_json(before)
    except ValidationError:
        return entry  # the file is damaged; it is replaced
    return entry.model_copy(
        update={
            "records": earlier.records | entry.records,
            "unverified": sorted({*earlier.unverified, *entry.unverified}),
            "imported_at": earlier.imported_at,
        }
    )


def _hash_record(file: Path) -> str | None:
    try:
        return content_hash(filesystem.read_regular_file(file))
    except OSError:
        return None
