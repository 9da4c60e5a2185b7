"""Takes the records of a bundle into a store: all of them or none, and never over one's own."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from quintain.records import disk, faults
from quintain.records.bundle import open_bundle
from quintain.records.bundles.archive import opened, sha256_of
from quintain.records.bundles.origins import Import, note_import
from quintain.records.keys import recomputed
from quintain.records.rank import digest
from quintain.records.schema import utc_now
from quintain.records.scrub import scrub_record
from quintain.records.store import Store

AT_ONCE = 256  # records written under one lock, in some 0.3 s: other writers wait for it


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did: records that are new, were there already, and were kept otherwise."""

    bundle: str
    new: int
    same: int
    kept: tuple[str, ...]
    unverified: tuple[str, ...]


def import_bundle(path: Path, store: Store) -> Imported:
    """Add what the store has no record of; a second import changes nothing.

    The whole bundle is checked before anything is written. Where writing fails, what this import
    had written is taken away again; where the process is killed, the same import completes it.
    Samples come along with their record.

    Raises:
        BundleError: the bundle is not taken.
        StoreError: the store cannot be written.
    """
    theirs = open_bundle(path)
    records = theirs.all()
    ours = {r.key: store.read(r.key) for r in records}
    texts = {r.key: scrub_record(r).to_json().encode() for r in records if ours[r.key] is None}
    unverified = tuple(r.key for r in records if r.key in texts and recomputed(r) is None)
    bundle = sha256_of(path)
    if texts:
        store.check_writable()
        note_import(store, _import(bundle, path, texts, unverified))
        _add_all(texts, theirs, store)
    others = [r for r in records if ours[r.key] not in (None, r)]
    return Imported(
        bundle=bundle,
        new=len(texts),
        same=len(records) - len(texts) - len(others),
        kept=tuple(record.key for record in others),
        unverified=unverified,
    )


def _import(
    bundle: str, path: Path, texts: dict[str, bytes], unverified: tuple[str, ...]
) -> Import:
    with opened(path) as archive:
        made_by = archive.manifest.quintain
    return Import(
        bundle=bundle,
        imported_at=utc_now(),
        quintain=made_by,
        records={key: digest(text) for key, text in texts.items()},
        unverified=list(unverified),
    )


def _add_all(texts: dict[str, bytes], theirs: Store, store: Store) -> None:
    """Write each record and its samples; after an error, none of them is there.

    Nothing is synced one by one, which would take some 20 ms each: what a power cut tears is set
    aside as unreadable, and the same import brings it again.
    """
    added: list[str] = []
    keys = iter(texts)
    try:
        while some := list(islice(keys, AT_ONCE)):
            with closing(store.add({key: texts[key] for key in some})) as written:
                for key in written:
                    added.append(key)
                    with faults.explained(store.path):
                        disk.copy_folder(theirs.samples(key), store.samples(key))
    except BaseException:
        for key in added:
            store.file(key).unlink(missing_ok=True)
            shutil.rmtree(store.samples(key), ignore_errors=True)
        raise
