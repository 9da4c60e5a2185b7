"""Opens a bundle (a `.qb` file) as a store: `open_bundle(Path("main.qb")).all()`."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from quintain.records.bundles.archive import Archive, open_archive
from quintain.records.bundles.manifest import MAX_NAME_LENGTH, MEDIA, RECORDS
from quintain.records.bundles.samples import unpack_samples
from quintain.records.bundles.strict_json import parse_strict_json
from quintain.records.filesystem import translate_os_errors
from quintain.records.keys import recompute_key
from quintain.records.record_file import shorten_error
from quintain.records.schema import SCHEMA, Record
from quintain.records.store import Store

SUFFIX = ".qb"


def is_bundle(path: Path) -> bool:
    """Return whether the path of a store is that of a bundle, which need not exist."""
    return path.is_file() or (path.suffix == SUFFIX and not path.is_dir())


def open_bundle(path: Path) -> Store:
    """Unpack the records and samples of a bundle into a store in a temporary folder.

    The bundle is checked first (see docs/bundles.md). The folder is removed when the store is
    garbage-collected, at the latest when Python ends: keep the store as long as you use its paths.
    Writing to the store does not change the bundle.

    Raises:
        BundleError: the bundle is not accepted.
        StoreError: there is no space for temporary files.
    """
    with open_archive(path) as archive, translate_os_errors(Path(tempfile.gettempdir())):
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
    for record in _read_records(archive):
        file = store.file(record.key)
        file.parent.mkdir(exist_ok=True)
        file.write_text(record.to_json(), encoding="utf-8")
        keys.add(record.key)
    num_samples = unpack_samples(archive, store, keys)
    counts = archive.manifest.counts
    num_media = sum(name.startswith(MEDIA) for name in archive.manifest.members)
    if (counts.records, counts.samples, counts.media) != (len(keys), num_samples, num_media):
        raise ValueError("the numbers of records, samples and media differ from its manifest")


def _read_records(archive: Archive) -> Iterator[Record]:
    """Yield the records; ValueError for an invalid line, a wrong key or one that is repeated."""
    keys: set[str] = set()
    lines = archive.lines(RECORDS) if RECORDS in archive else ()
    for number, line in enumerate(lines, start=1):
        try:
            record = _parse_record(line)
        except ValueError as error:
            raise ValueError(f"line {number} of {RECORDS}: {shorten_error(error)}") from error
        if record.key in keys:
            raise ValueError(f"line {number} of {RECORDS}: the key {record.key} is repeated")
        keys.add(record.key)
        yield record


def _parse_record(line: bytes) -> Record:
    value = parse_strict_json(line)
    schema = value.get("schema") if isinstance(value, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise ValueError(
            f"a record has schema {schema}; this quintain reads up to {SCHEMA}: update quintain"
        )
    record = Record.model_validate(value)
    names = [*record.names.model_dump().values(), *(record.versions | record.trust)]
    if any(len(name) > MAX_NAME_LENGTH for name in names):
        raise ValueError(f"a name has over {MAX_NAME_LENGTH} characters")
    expected = recompute_key(record)
    if expected and expected != (record.key, record.group):
        raise ValueError(
            f"the record has the key {record.key}, but the key of its cell is {expected[0]}: "
            "it was changed, or was not written by quintain"
        )
    return record
