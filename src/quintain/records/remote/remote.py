"""A store at a URL, and its working store: the local folder that commands read and write.

Finished records are pushed to the URL, those of other machines are fetched. No object at the remote
is ever deleted or gets other content, because its name contains the hash of its content; only the
file with the version has no hash:

quintain-store.json                                  version of this layout
records/<key[:2]>/<key>.<hash>.json                  one version of a cell's record
samples/<key>.<hash>/<name>                          samples of the run that wrote this version
logs/<key>.<hash>.log                                end of a failed run's log, redacted
plans/<name>.<hash>.json                             plans of sweeps

If two machines finish the same cell, the remote keeps both records, and `records.precedence`
decides which one is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import platformdirs

from quintain.errors import StoreError
from quintain.records import filesystem
from quintain.records.filesystem import translate_os_errors
from quintain.records.precedence import HASH_LENGTH, content_hash, precedence_of
from quintain.records.redact import redact
from quintain.records.remote import outbox
from quintain.records.remote.object_storage import ObjectStorage
from quintain.records.store import Store

LAYOUT = 1
LAYOUT_FILE = "quintain-store.json"
BATCH_SIZE = 256  # records per request
MAX_BYTES = 64 * 2**20  # of an object, and of a batch, which is read into memory
LOG_BYTES = 65536  # of a log, at its end
_RECORD = re.compile(rf"([0-9a-f]{{8,64}})\.([0-9a-f]{{{HASH_LENGTH}}})\.json")
_SAMPLE = re.compile(r"[\w-][\w.-]*")
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "FSSPEC_S3_ENDPOINT_URL")


class Remote:
    """A remote store and its working store (`store`).

    Args:
        url: for example `s3://bucket/results`; credentials come from the environment.

    Raises:
        StoreError: it is not a URL, it contains credentials, or its file system is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.storage = ObjectStorage(self.url)
        self.store = Store(working_folder(self.url))
        self._known_file = self.store.path / "remote" / "known"  # names of objects to skip

    @property
    def has_fetched(self) -> bool:
        """Whether this machine has ever fetched from the remote."""
        return self._known_file.exists()

    def prepare(self) -> None:
        """Create the working store; raise `StoreError` if that fails."""
        with translate_os_errors(self.store.path):
            outbox.outbox_folder(self.store.path).mkdir(parents=True, exist_ok=True)
            self._known_file.parent.mkdir(exist_ok=True)
            (self._known_file.parent / "url").write_text(self.url)

    def check_writable(self) -> None:
        """Write the file with the layout version; raise `RemoteError` if that fails."""
        self.storage.write({LAYOUT_FILE: json.dumps({"layout": LAYOUT}).encode()})

    def fetch_records(self) -> int:
        """Fetch new records and merge them into the working store.

        Returns:
            The number of records that were written, see `Store.merge_record`.

        Raises:
            RemoteError: the remote cannot be reached or refuses; records fetched so far are kept.
            StoreError: the remote has a newer layout, or the local disk cannot be written.
        """
        self._check_layout()
        known, written = self._load_known(), 0
        sizes = self._list_sizes("records")
        new = sorted(path for path in sizes if self._is_new(_name(path), known))
        for paths in _make_batches(new, sizes):
            texts = self.storage.read(paths)
            complete = [path for path in paths if self._is_complete(_name(path), texts.get(path))]
            for path in complete:
                written += self._merge_record(_name(path).split(".")[0], texts[path])
            self._add_known(map(_name, complete))
        self._add_known([])  # creates the file, see `has_fetched`
        return written

    def push(self) -> int:
        """Push the records in the outbox, and new plans; return how many records were pushed.

        Raises:
            RemoteError: the remote cannot be reached or refuses; the rest stays in the outbox.
        """
        pushed = 0
        for file in outbox.list_files(self.store.path):
            try:
                text = file.read_bytes()
            except FileNotFoundError:
                continue  # another command has pushed it
            if not (match := _RECORD.fullmatch(file.name)):
                continue
            key, version = match.groups()
            if content_hash(text) != version:  # after a power failure; the cell runs again
                self.store.add_problem(f"{file} is damaged; not pushed")
                file.unlink(missing_ok=True)
                continue
            self.storage.write(self._read_attachments(key, version, text))
            self.storage.write(
                {f"records/{key[:2]}/{file.name}": text}
            )  # last, so that it has its samples
            self._add_known([file.name])
            file.unlink(missing_ok=True)
            pushed += 1
        self._push_plans()
        return pushed

    def count_unpushed(self) -> int:
        """Return the number of records in the outbox."""
        return len(outbox.list_files(self.store.path))

    def fetch_samples(self, key: str) -> Path:
        """Return the folder of a cell's samples, fetched unless it exists.

        If the remote has no samples of the cell either, the folder does not exist.

        Raises:
            RemoteError: the remote cannot be reached or refuses.
        """
        folder, record = self.store.samples(key), self.store.file(key)
        if folder.is_dir() or not record.is_file():
            return folder
        sizes = self._list_sizes(f"samples/{key}.{content_hash(record.read_bytes())}")
        paths = [path for path in sizes if _SAMPLE.fullmatch(_name(path))]
        files: dict[str, bytes] = {}
        for batch in _make_batches(paths, sizes):
            files |= {_name(path): content for path, content in self.storage.read(batch).items()}
        if files:
            with translate_os_errors(self.store.path):
                filesystem.write_folder(folder, files)
        return folder

    def _is_new(self, name: str, known: set[str]) -> bool:
        """Return whether to fetch a record: unknown, or deleted from the working store."""
        match = _RECORD.fullmatch(name)
        return match is not None and (name not in known or not self.store.file(match[1]).exists())

    def _is_complete(self, name: str, text: bytes | None) -> bool:
        """Return whether the content has the hash in the name; else the next fetch tries again."""
        if text is None or content_hash(text) != name.split(".")[1]:
            self.store.add_problem(
                f"{self.url}: {name} could not be read completely; the next fetch tries again"
            )
            return False
        return True

    def _merge_record(self, key: str, text: bytes) -> bool:
        try:
            return self.store.merge_record(key, text, push=False)
        except StoreError:
            raise
        except (ValueError, RecursionError):
            self.store.add_problem(f"{self.url}: the record of {key} is not valid; ignored")
            return False

    def _read_attachments(self, key: str, version: str, text: bytes) -> dict[str, bytes]:
        """Return the samples of an `ok` run, or the log of a failed one, by object name."""
        store = self.store
        if not precedence_of(text).ok:
            log = _read_log_end(store.path / "logs" / f"{key}.log")
            return {f"logs/{key}.{version}.log": log} if log else {}
        record = store.file(key)
        if not record.is_file() or content_hash(record.read_bytes()) != version:
            return {}  # the samples are of another run
        files = [f for f in store.samples(key).glob("*") if f.is_file() and not f.is_symlink()]
        return {f"samples/{key}.{version}/{file.name}": file.read_bytes() for file in files}

    def _push_plans(self) -> None:
        known = self._load_known()
        for file in (self.store.path / "plans").glob("*.json"):
            stat = file.stat()
            name = f"plans/{file.stem} {stat.st_mtime_ns} {stat.st_size}"
            if name not in known:
                text = file.read_bytes()
                self.storage.write({f"plans/{file.stem}.{content_hash(text)}.json": text})
                self._add_known([name])

    def _check_layout(self) -> None:
        text = self.storage.read_start(LAYOUT_FILE, 4096)
        if text is None:
            return  # the remote is new, or the bucket is missing: then writing fails
        try:
            layout = int(json.loads(text)["layout"])
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{self.url}/{LAYOUT_FILE} was not written by Quintain ({error!r})"
            ) from error
        if layout > LAYOUT:
            raise StoreError(
                f"{self.url} has layout {layout}; this quintain reads up to {LAYOUT}: "
                "update quintain, or choose another store"
            )

    def _list_sizes(self, folder: str) -> dict[str, int]:
        """Return path → size of the objects in a folder; objects over the limit are reported."""
        sizes = self.storage.list_sizes(folder)
        for path in [path for path, size in sizes.items() if size > MAX_BYTES]:
            size = sizes.pop(path) / 2**20
            limit = f"over {MAX_BYTES / 2**20:.0f}; ignored"
            self.store.add_problem(f"{self.url}: {_name(path)} has {size:.0f} MiB, {limit}")
        return sizes

    def _load_known(self) -> set[str]:
        """Return the names of the objects that have been pushed or merged."""
        try:
            return set(self._known_file.read_text().splitlines())
        except FileNotFoundError:
            return set()

    def _add_known(self, names: Iterable[str]) -> None:
        with translate_os_errors(self.store.path), self._known_file.open("a") as file:
            file.write("".join(f"{name}\n" for name in names))


def working_folder(url: str) -> Path:
    """Return the folder of a URL's working store, in `QUINTAIN_STORES` or the user's data folder.

    A cache folder would not be safe: the records may not have been pushed yet.
    """
    variable = os.environ.get("QUINTAIN_STORES")
    folder = Path(variable) if variable else platformdirs.user_data_path("quintain") / "stores"
    identity = json.dumps([url, *(os.environ.get(name) for name in _ENDPOINTS)])
    readable = re.sub(r"[^a-z0-9]+", "-", url.lower()).strip("-")[:40]
    return folder.absolute() / f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _make_batches(paths: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield batches of at most `BATCH_SIZE` objects and `MAX_BYTES` in total."""
    batch, total = list[str](), 0
    for path in paths:
        if batch and (len(batch) == BATCH_SIZE or total + sizes[path] > MAX_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(path)
        total += sizes[path]
    if batch:
        yield batch


def _read_log_end(file: Path) -> bytes:
    """Return the end of a log, redacted, since the run may not have finished redacting it."""
    try:
        with file.open("rb") as handle:
            handle.seek(max(0, file.stat().st_size - LOG_BYTES))
            return redact(handle.read().decode(errors="replace")).encode()
    except OSError:
        return b""
