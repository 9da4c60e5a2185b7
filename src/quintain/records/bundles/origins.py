"""Where imported records came from: beside the records, because a record is its run's alone.

imports/<SHA-256 of the bundle>.json    when, by which quintain made, key → hash of each record

A record that a run of one's own has since replaced has another hash, and no origin.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from quintain.records import disk, faults
from quintain.records.rank import digest
from quintain.records.store import Store


class Import(BaseModel):
    """One bundle that was taken into a store.

    `records` holds key → hash of each record's file; `unverified` the keys that nothing could be
    computed from, because a secret had been taken out of the cell.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    bundle: str
    imported_at: str
    quintain: str
    records: dict[str, str]
    unverified: list[str] = []


class Origin(NamedTuple):
    """The bundle that a record came with, and when it was imported."""

    bundle: str
    imported_at: str
    verified: bool


def origins(store: Store) -> dict[str, Origin]:
    """Key → origin, of every record of the store that came with a bundle and is still that one."""
    found: dict[str, Origin] = {}
    for file in sorted((store.path / "imports").glob("*.json")):
        try:
            taken = Import.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            store.note(f"{file} tells no origin ({type(error).__name__}); ignored")
            continue
        for key, text in taken.records.items():
            if _digest(store.file(key)) == text:
                origin = Origin(taken.bundle, taken.imported_at, key not in taken.unverified)
                found.setdefault(key, origin)
    return found


def note_import(store: Store, taken: Import) -> None:
    """Keep an import; of a bundle that was imported before, add what is new now.

    Raises:
        StoreError: the store cannot be written.
    """
    file = store.path / "imports" / f"{taken.bundle}.json"
    with faults.explained(store.path):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            taken = _merged(_read(file), taken)
        text = json.dumps(taken.model_dump(), indent=1, sort_keys=True).encode()
        part = disk.write_beside(file, text)
        os.replace(part, file)
        disk.sync_folder(file.parent)


def _read(file: Path) -> Import | None:
    try:
        return Import.model_validate_json(file.read_bytes())
    except ValidationError:
        return None  # damaged: what it said is lost, and the import goes on


def _merged(before: Import | None, now: Import) -> Import:
    if before is None:
        return now
    unverified = sorted({*before.unverified, *now.unverified})
    merged = {"records": before.records | now.records, "unverified": unverified}
    return now.model_copy(update=merged | {"imported_at": before.imported_at})


def _digest(file: Path) -> str | None:
    try:
        return digest(file.read_bytes())
    except OSError:
        return None
