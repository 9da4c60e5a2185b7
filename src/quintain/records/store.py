"""A store: the folder of records that all commands read and write.

records/<key[:2]>/<key>.json   one record per file, replaced atomically
samples/<key>/                 a few test samples of the run, see `run.record.samples`
checkpoints/<key>/             the state of an interrupted run, see `run.train.checkpoint`
claims/                        lock files, see `records.claims`
corrupt/                       files that are not valid records, moved aside
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path

from quintain.errors import StoreError
from quintain.records import filesystem, record_file
from quintain.records.claims import Claim, make_lock, try_claim
from quintain.records.filesystem import translate_os_errors
from quintain.records.index.journal import append_to_journal
from quintain.records.precedence import Precedence, content_hash, precedence_of
from quintain.records.redact import redact_record
from quintain.records.remote import outbox
from quintain.records.schema import SCHEMA, Record, Status

log = logging.getLogger(__name__)

PROBE_BYTES = 65536  # as large as an ordinary record
_NEWER_HELP = "update quintain, or choose another store"

sample_fetchers: dict[Path, Callable[[str], Path]] = {}
"""Path of a working store → function that fetches the samples of a cell from its remote."""


class Store:
    """Records in a folder, which the first `write` creates.

    `problems` collects messages about files that could not be used; they are also logged.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.problems: list[str] = []

    def file(self, key: str) -> Path:
        """Return the path of a cell's record, which need not exist."""
        return self.path / "records" / key[:2] / f"{key}.json"

    def samples(self, key: str) -> Path:
        """Return the folder of a cell's samples, which need not exist."""
        return self.path / "samples" / key

    def checkpoints(self, key: str) -> Path:
        """Return the folder of a cell's checkpoint, which need not exist."""
        return self.path / "checkpoints" / key

    def fetch_samples(self, key: str) -> Path:
        """Return `samples(key)`; a working store fetches them first, and reports errors."""
        try:
            sample_fetchers.get(self.path, self.samples)(key)
        except StoreError as error:
            self.add_problem(f"the samples of {key} could not be fetched: {error}")
        return self.samples(key)

    def write(self, record: Record) -> bool:
        """Write a record, redacted; return whether it was written.

        An `ok` record is only replaced by another `ok` record. A record of a newer schema is never
        replaced.

        Raises:
            StoreError: the folder cannot be written; no partial file remains.
        """
        text = record_file.seal(redact_record(record).to_json())
        return self._replace(record.key, text, lambda: self._may_replace(record))

    def add(self, texts: Mapping[str, bytes]) -> Generator[str]:
        """Write records (key → text), but only of cells without one; yield the keys written.

        For many records: the lock is held until the end, and nothing is flushed to the disk.

        Raises:
            StoreError: the folder cannot be written; no partial file remains.
        """
        with translate_os_errors(self.path), make_lock(self.path, "write"):
            for key in filter(self._is_free, texts):
                target = self.file(key)
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = filesystem.write_temporary(target, texts[key], sync=False)
                self._rename(key, temporary, target, texts[key], push=True)
                yield key

    def merge_record(self, key: str, text: bytes, *, push: bool = True) -> bool:
        """Write a record of another store if it has the higher precedence.

        See `records.precedence`: the result does not depend on the order of calls.

        Args:
            key: key of the cell.
            text: content of the record's file, which is copied byte for byte.
            push: whether a working store adds it to its outbox.

        Returns:
            Whether the record was written.

        Raises:
            ValueError: the text is not a record of this cell.
            StoreError: the folder cannot be written; no partial file remains.
        """
        precedence = precedence_of(text)
        if precedence.schema <= SCHEMA:
            record_file.parse_record(self.file(key), text)
        is_written = self._replace(key, text, lambda: self._precedes(key, precedence), push=push)
        if is_written:  # the samples in the store are those of the replaced record
            shutil.rmtree(self.samples(key), ignore_errors=True)
        return is_written

    def merge(self, other: Store) -> int:
        """Merge every record of another store, with its samples; see `merge_record`.

        Invalid files are left out, with a message in `problems`.

        Returns:
            The number of records that were written.

        Raises:
            StoreError: one of the stores is not a folder, or this one cannot be written.
        """
        written = 0
        for file in other.files():
            try:
                if self.merge_record(file.stem, filesystem.read_regular_file(file)):
                    written += 1
                    filesystem.copy_folder(other.samples(file.stem), self.samples(file.stem))
            except StoreError:
                raise
            except (OSError, ValueError, RecursionError) as error:
                self.add_problem(
                    f"{file} cannot be merged ({record_file.shorten_error(error)}); left out"
                )
        return written

    def read(self, key: str) -> Record | None:
        """Return the record of a cell, or None if there is no usable one."""
        return self._load(self.file(key))

    def status(self, key: str) -> Status | None:
        """Return the status of a cell's record, or None if there is no usable record."""
        record = self.read(key)
        return record.status if record else None

    def statuses(self, keys: Iterable[str]) -> dict[str, Status]:
        """Return key → status; cells without a usable record are left out.

        Fast for thousands of cells: each folder is listed once, and only the headers of records are
        checked, not parsed (see `read_header`).
        """
        by_folder: dict[str, set[str]] = defaultdict(set)
        for key in keys:
            by_folder[key[:2]].add(key)
        statuses: dict[str, Status] = {}
        for folder, wanted in by_folder.items():
            for key in wanted & record_file.list_keys(self.path / "records" / folder):
                if status := self._quick_status(key):
                    statuses[key] = status
        return statuses

    def all(self) -> list[Record]:
        """Return every usable record, sorted by key.

        Raises:
            StoreError: the store's path is not a folder, or cannot be read.
        """
        loaded = (self._load(file) for file in self.files())
        return [record for record in loaded if record is not None]

    def files(self) -> list[Path]:
        """Return the files that have the name of a record, sorted by key.

        Raises:
            StoreError: the store's path is not a folder, or cannot be read.
        """
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is not a folder: give the path of a store")
        with translate_os_errors(self.path):
            paths = (self.path / "records").glob("??/*.json")
            return sorted(path for path in paths if record_file.is_record_file(path))

    def claim(self, key: str) -> Claim | None:
        """As `try_claim`, but with a StoreError if the folder cannot be written."""
        with translate_os_errors(self.path):
            return try_claim(self.path, key)

    def check_writable(self) -> None:
        """Test that `write` will work, so that a sweep fails before its first run.

        Raises:
            StoreError: the store cannot be written, or has records of a newer quintain.
        """
        with translate_os_errors(self.path):
            folder = self.path / "records"
            folder.mkdir(parents=True, exist_ok=True)
            filesystem.write_temporary(folder / "probe", b" " * PROBE_BYTES).unlink()
            filesystem.remove_stale_temporaries(folder)
            with make_lock(self.path, "write"):
                pass
        newest = 0
        for file in self.files():
            with contextlib.suppress(OSError):
                newest = max(newest, record_file.read_schema_version(file))
        if newest > SCHEMA:
            raise StoreError(f"{self._describe_newer(newest)}, so it is read-only: {_NEWER_HELP}")

    def add_problem(self, message: str) -> None:
        """Add a message to `problems` and log it, unless it is there already."""
        if message not in self.problems:
            self.problems.append(message)
            log.warning("%s", message)

    def _replace(
        self, key: str, text: bytes, may_replace: Callable[[], bool], *, push: bool = True
    ) -> bool:
        """Write a record's file if `may_replace()`, called under the write lock, is true."""
        target = self.file(key)
        with translate_os_errors(self.path):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = filesystem.write_temporary(target, text)
            try:
                with make_lock(self.path, "write"):
                    if not may_replace():
                        return False
                    if push and self._is_superseded(key, text):
                        outbox.add(self.path, temporary, f"{key}.{content_hash(text)}.json")
                        return False
                    self._rename(key, temporary, target, text, push=push)
                    filesystem.sync_folder(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
        return True

    def _rename(self, key: str, temporary: Path, target: Path, text: bytes, *, push: bool) -> None:
        """Rename the file; first update outbox and journal, in case the process is killed."""
        if push:
            outbox.add(self.path, temporary, f"{key}.{content_hash(text)}.json")
        append_to_journal(self.path, key)
        os.replace(temporary, target)

    def _quick_status(self, key: str) -> Status | None:
        with contextlib.suppress(OSError):  # `status` reports it
            header = record_file.read_header(self.file(key))
            if header and header.key == key and header.schema <= SCHEMA:
                return header.status
        return self.status(key)

    def _is_free(self, key: str) -> bool:
        """Return whether a cell has no record, after moving aside an invalid file."""
        file = self.file(key)
        return self._load(file) is None and not file.is_file()

    def _may_replace(self, record: Record) -> bool:
        file = self.file(record.key)
        existing = self._load(file)
        if existing is None:  # the file is of a newer quintain, or a pipe or device of that name
            return not file.is_file()
        return record.status == "ok" or existing.status != "ok"

    def _precedes(self, key: str, precedence: Precedence) -> bool:
        if self._is_free(key):
            return True
        try:
            return precedence > precedence_of(filesystem.read_regular_file(self.file(key)))
        except (OSError, ValueError):
            return True

    def _is_superseded(self, key: str, text: bytes) -> bool:
        """Return whether a working store has fetched a record that counts instead of this one."""
        file = self.file(key)
        if not outbox.outbox_folder(self.path).is_dir() or not file.exists():
            return False
        return precedence_of(filesystem.read_regular_file(file)) > precedence_of(text)

    def _load(self, file: Path) -> Record | None:
        try:
            identity = _identity(file.stat())
            text = filesystem.read_regular_file(file)
            return record_file.parse_record(file, text)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.add_problem(f"{file} cannot be read ({error.strerror}); ignored")
        except (ValueError, RecursionError) as error:
            self._reject(file, identity, text, record_file.shorten_error(error))
        return None

    def _reject(self, file: Path, identity: tuple[int, int], text: bytes, reason: str) -> None:
        """Move an invalid file to `corrupt/`, unless it is of a newer schema or was replaced."""
        if (schema := record_file.parse_schema_version(text)) > SCHEMA:
            newer = self._describe_newer(schema)
            self.add_problem(f"{newer}; they are ignored: {_NEWER_HELP}")
            return
        target = self.path / "corrupt" / f"{file.stem}.{time.time_ns()}.json"
        try:
            if _identity(file.stat()) != identity:
                return  # the file was replaced since it was read
            target.parent.mkdir(exist_ok=True)
            os.replace(file, target)
            self.add_problem(f"{file} is not a valid record ({reason}); moved to {target}")
        except OSError:
            self.add_problem(f"{file} is not a valid record ({reason}); ignored")

    def _describe_newer(self, schema: int) -> str:
        return (
            f"the store {self.path} has records of schema {schema}; this quintain reads up to "
            f"{SCHEMA}"
        )


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_ino, stat.st_mtime_ns
