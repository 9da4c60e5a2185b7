"""Imports the records of a bundle into a store: all or none. No record is replaced."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from quintain.records import filesystem
from quintain.records.bundles.archive import hash_file, open_archive
from quintain.records.bundles.bundle import open_bundle
from quintain.records.bundles.origins import ImportEntry, imported_with
from quintain.records.filesystem import translate_os_errors
from quintain.records.keys import recompute_key
from quintain.records.precedence import content_hash
from quintain.records.record_file import seal
from quintain.records.redact import redact_record
from quintain.records.schema import utc_now
from quintain.records.store import Store

BATCH_SIZE = 256  # records written under one lock, for which other writers wait about 0.3 s


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import did."""

    sha256: str  # of the bundle
    new: int  # records that were added
    same: int  # records that the store had already
    conflicts: tuple[str, ...]  # keys for which the store has, and keeps, a different record
    unverified: tuple[str, ...]  # keys not checked, because a secret was removed from the cell


def import_bundle(path: Path, store: Store) -> ImportResult:
    """Add the records, with samples, of those cells for which the store has none.

    The whole bundle is checked before anything is written. If writing fails, this import is rolled
    back; if the process is killed, importing the bundle again completes it.

    Raises:
        BundleError: the bundle is not accepted.
        StoreError: the store cannot be written.
    """
    imported = open_bundle(path)
    records = imported.all()
    existing = {record.key: store.read(record.key) for record in records}
    new = [record for record in records if existing[record.key] is None]
    conflicts = [r.key for r in records if existing[r.key] not in (None, r)]
    unverified = tuple(record.key for record in new if recompute_key(record) is None)
    bundle = hash_file(path)
    if new:
        store.check_writable()
        texts = {record.key: seal(redact_record(record).to_json()) for record in new}
        with open_archive(path) as archive:
            version = archive.manifest.quintain
        entry = ImportEntry(
            bundle=bundle,
            imported_at=utc_now(),
            quintain=version,
            records={key: content_hash(text) for key, text in texts.items()},
            unverified=list(unverified),
        )
        with imported_with(store, entry):
            _add_records(texts, imported, store)
    return ImportResult(
        sha256=bundle,
        new=len(new),
        same=len(records) - len(new) - len(conflicts),
        conflicts=tuple(conflicts),
        unverified=unverified,
    )


def _add_records(texts: dict[str, bytes], imported: Store, store: Store) -> None:
    """Write each record with its samples; after an error, remove what was written.

    Files are not flushed to the disk, which would take about 20 ms each. If a power failure damages
    one, `Store.read` moves it aside, and importing the bundle again adds it.
    """
    added: list[str] = []
    keys = iter(texts)
    try:
        while batch := list(islice(keys, BATCH_SIZE)):
            with closing(store.add({key: texts[key] for key in batch})) as written:
                for key in written:
                    added.append(key)
                    with translate_os_errors(store.path):
                        filesystem.copy_folder(imported.samples(key), store.samples(key))
    except BaseException:
        for key in added:
            store.file(key).unlink(missing_ok=True)
            shutil.rmtree(store.samples(key), ignore_errors=True)
        raise
