"""Bundles as stores: a `.qb` file opened for reading, wherever a folder of records could stand.

    store = open_bundle(Path("main.qb"))
    store.all()                    # the records, as of any store
    store.bring_samples(key)       # the samples, where the bundle has them

What comes is an ordinary `Store` in a private temporary folder, filled from the bundle after every
check (docs/bundles.md); so all that reads a store reads a bundle. The folder is removed when the
store is garbage, at the latest when Python ends: keep the store as long as its paths are used.
Nothing that is written there goes back into the bundle.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from quintain.records import faults
from quintain.records.bundles.archive import Archive, opened
from quintain.records.bundles.contents import records_in
from quintain.records.bundles.manifest import MEDIA
from quintain.records.bundles.samples import unpack_samples
from quintain.records.store import Store

SUFFIX = ".qb"


def is_bundle(path: Path) -> bool:
    """Whether a path that a user gave in place of a store is meant as a bundle."""
    return path.is_file() or (path.suffix == SUFFIX and not path.is_dir())


def open_bundle(path: Path) -> Store:
    """The records and samples of a bundle, as a store that lives as long as this process.

    Raises:
        BundleError: (a StoreError) one sentence why the bundle is not taken; nothing of it is.
        StoreError: there is no room for it in the folder of temporary files.
    """
    with opened(path) as archive, faults.explained(Path(tempfile.gettempdir())):
        folder = Path(tempfile.mkdtemp(prefix="quintain-bundle-"))
        store = Store(folder)
        remove = weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
        try:
            _unpack(archive, store)
        except BaseException:
            remove()
            raise
    return store


def _unpack(archive: Archive, store: Store) -> None:
    (store.path / "records").mkdir()
    keys = set()
    for record in records_in(archive):
        file = store.file(record.key)
        file.parent.mkdir(exist_ok=True)
        file.write_text(record.to_json(), encoding="utf-8")
        keys.add(record.key)
    sampled = unpack_samples(archive, store, keys)
    counts = archive.manifest.counts
    media = sum(name.startswith(MEDIA) for name in archive.manifest.members)
    if (counts.records, counts.samples, counts.media) != (len(keys), sampled, media):
        raise ValueError("it does not hold as many records, samples and media as it says")
