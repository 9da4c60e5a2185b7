"""A folder of records: the truth that leaderboards, mirrors and resumed sweeps read.

records/<key[:2]>/<key>.json   one record a file, written whole or not at all
samples/<key>/                 a few test samples of the run, see run.samples
checkpoints/<key>/             the state of an interrupted run, see run.checkpoint
claims/                        locks of cells that are being run
corrupt/                       files that could not be read, set aside
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from quintain.records import disk, faults, outbox
from quintain.records.faults import StoreError
from quintain.records.glance import glance
from quintain.records.journal import note_written
from quintain.records.rank import Rank, digest, rank
from quintain.records.schema import SCHEMA, Record, Status
from quintain.records.scrub import scrub_record

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Claim", "Store", "StoreError"]

log = logging.getLogger(__name__)

PROBE = 65536  # bytes; as large as a record may be
LOCK_WAIT = 30.0  # seconds; the lock is held for a rename only
_NEWER_HELP = "update quintain, or choose another store"
_NAME = re.compile(r"[0-9a-f]{8,64}\.json")


fetchers: dict[Path, Callable[[str], Path]] = {}
"""Path of each working store of this process → what fetches a cell's samples from its remote."""


class Claim:
    """The right to run a cell; given back by `release`, by `with`, or by the end of the process."""

    def __init__(self, lock: BaseFileLock):
        self._lock = lock

    def release(self) -> None:
        """Let others claim the cell; a second call does nothing."""
        self._lock.release(force=True)

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()


class Store:
    """Records in a folder, which need not exist before the first `write`.

    `problems` collects one sentence for each file that could not be used; each is logged as a
    warning too.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.problems: list[str] = []

    def file(self, key: str) -> Path:
        """Where the record of a cell stands."""
        return self.path / "records" / key[:2] / f"{key}.json"

    def samples(self, key: str) -> Path:
        """Where the samples of a cell's run stand, if it kept any."""
        return self.path / "samples" / key

    def checkpoints(self, key: str) -> Path:
        """Where the state of a cell's interrupted run stands, if there is one."""
        return self.path / "checkpoints" / key

    def bring_samples(self, key: str) -> Path:
        """The folder of a cell's samples, fetched from the remote where this store stands for one.

        It need not exist. What cannot be fetched is said in `problems`.
        """
        try:
            fetchers.get(self.path, self.samples)(key)
        except StoreError as error:
            self.note(f"samples of {key} are not here: {error}")
        return self.samples(key)

    def write(self, record: Record) -> bool:
        """Write a record, scrubbed, in one step; False where a better one is there already.

        An `ok` record gives way only to another `ok` one, and a newer schema's to none.

        Raises:
            StoreError: the folder cannot be written; nothing half-written stays.
        """
        text = scrub_record(record).to_json().encode()
        return self._put(record.key, text, lambda: self._may_replace(record))

    def add(self, texts: Mapping[str, bytes]) -> Generator[str]:
        """Write records, key → text, of cells that have none; gives each key when it is written.

        For many at once: the lock is held until the end, and nothing is synced to the disk.

        Raises:
            StoreError: the folder cannot be written; nothing half-written stays.
        """
        with faults.explained(self.path), self._lock("write"):
            for key in filter(self._is_free, texts):
                target = self.file(key)
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = disk.write_beside(target, texts[key], sync=False)
                outbox.post(self.path, temporary, f"{key}.{digest(texts[key])}.json")
                note_written(self.path, key)
                os.replace(temporary, target)
                yield key

    def adopt(self, key: str, text: bytes, *, announce: bool = True) -> bool:
        """Take a record that another store wrote, byte for byte, where it is the better one.

        Which one that is does not depend on the order, see `records.rank`.

        Args:
            key: of the cell.
            text: the content of the record's file.
            announce: send it to the remote, if this store is the working store of one.

        Raises:
            ValueError: the text is no record of this cell.
            StoreError: the folder cannot be written; nothing half-written stays.
        """
        theirs = rank(text)
        if theirs.schema <= SCHEMA:
            _parse(self.file(key), text)
        better = self._put(key, text, lambda: self._yields(key, theirs), announce=announce)
        if better:
            shutil.rmtree(self.samples(key), ignore_errors=True)  # they are of another run
        return better

    def merge(self, other: Store) -> int:
        """Adopt every record of another store that is better than ours; how many were.

        Samples come along with their record. What cannot be read is said in `problems`, and merging
        goes on.

        Raises:
            StoreError: a store is no folder, or this one cannot be written.
        """
        adopted = 0
        for file in other.files():
            try:
                if self.adopt(file.stem, file.read_bytes()):
                    adopted += 1
                    disk.copy_folder(other.samples(file.stem), self.samples(file.stem))
            except StoreError:
                raise
            except (OSError, ValueError, RecursionError) as error:
                self.note(f"{file} cannot be merged ({_first_line(error)}); left out")
        return adopted

    def _put(
        self, key: str, text: bytes, may: Callable[[], bool], *, announce: bool = True
    ) -> bool:
        target = self.file(key)
        with faults.explained(self.path):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = disk.write_beside(target, text)
            try:
                with self._lock("write"):
                    if not may():
                        return False
                    if announce:
                        outbox.post(self.path, temporary, f"{key}.{digest(text)}.json")
                    note_written(self.path, key)
                    os.replace(temporary, target)
                    disk.sync_folder(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
        return True

    def read(self, key: str) -> Record | None:
        """The record of a cell, or None where there is none that can be used."""
        return self._load(self.file(key))

    def status(self, key: str) -> Status | None:
        """The status of a cell's record, or None; a record that cannot be read counts as none."""
        record = self.read(key)
        return record.status if record else None

    def statuses(self, keys: Iterable[str]) -> dict[str, Status]:
        """The statuses of many cells' records; cells without a usable record are left out.

        Made for ten thousand cells: each folder is listed once, and of a record only the first
        lines and the end are read. So one that was edited by hand counts as what its head says;
        one that is cut short, misnamed or of a newer schema counts as none, as in `status`.
        """
        found: dict[str, Status] = {}
        for folder, wanted in _by_folder(keys).items():
            for key in wanted & _listed(self.path / "records" / folder):
                if status := self._status_of(key):
                    found[key] = status
        return found

    def _status_of(self, key: str) -> Status | None:
        try:
            seen = glance(self.file(key))
        except OSError:
            return self.status(key)  # says why
        if seen is None or seen.key != key or seen.schema > SCHEMA:
            return self.status(key)
        return seen.status

    def all(self) -> list[Record]:
        """Every usable record, in the order of the keys.

        Raises:
            StoreError: the store's path is not a folder, or cannot be read.
        """
        loaded = (self._load(file) for file in self.files())
        return [record for record in loaded if record is not None]

    def files(self) -> list[Path]:
        """The files that may be records, in the order of the keys.

        Raises:
            StoreError: the store's path is not a folder, or cannot be read.
        """
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is not a folder: give the path of a store")
        with faults.explained(self.path):
            return sorted(p for p in (self.path / "records").glob("??/*.json") if _is_record(p))

    def claim(self, key: str) -> Claim | None:
        """The claim to a cell, or None where another process holds it. Never waits.

        Raises:
            StoreError: the folder cannot be written.
        """
        from filelock import Timeout

        with faults.explained(self.path):
            lock = self._lock(key)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return None
        return Claim(lock)

    def check_writable(self) -> None:
        """Try to write as `write` does, so that a sweep fails before its first run and not after.

        Raises:
            StoreError: one sentence: read-only, full, not permitted, not a folder, or with records
                of a newer quintain.
        """
        with faults.explained(self.path):
            folder = self.path / "records"
            folder.mkdir(parents=True, exist_ok=True)
            disk.write_beside(folder / "probe", b" " * PROBE).unlink()
            disk.remove_stale(folder)
            with self._lock("write"):
                pass
        if (schema := self._newest_schema()) > SCHEMA:
            raise StoreError(f"{_newer(self.path, schema)}, so it is read-only: {_NEWER_HELP}")

    def _newest_schema(self) -> int:
        newest = 0
        for file in self.files():
            with contextlib.suppress(OSError):
                seen = glance(file)
                newest = max(newest, seen.schema if seen else _schema(file.read_bytes()))
        return newest

    def _lock(self, name: str) -> BaseFileLock:
        from filelock import FileLock  # 0.1 s to import; readers never lock

        folder = self.path / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock", timeout=LOCK_WAIT)

    def _is_free(self, key: str) -> bool:
        """No record is there; one that cannot be read is set aside and counts as none."""
        file = self.file(key)
        return self._load(file) is None and not file.exists()

    def _may_replace(self, record: Record) -> bool:
        file = self.file(record.key)
        if not file.exists():
            return True
        standing = self._load(file)
        if standing is None:
            return not file.exists()  # set aside, or of a newer schema and left in place
        return record.status == "ok" or standing.status != "ok"

    def _yields(self, key: str, theirs: Rank) -> bool:
        if self._is_free(key):
            return True
        try:
            return theirs > rank(self.file(key).read_bytes())
        except ValueError:
            return True

    def _load(self, file: Path) -> Record | None:
        try:
            with file.open("rb") as handle:
                identity = _identity(os.fstat(handle.fileno()))
                text = handle.read()
            return _parse(file, text)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.note(f"{file} cannot be read ({error.strerror}); ignored")
        except (ValueError, RecursionError) as error:
            self._reject(file, identity, text, _first_line(error))
        return None

    def _reject(self, file: Path, identity: tuple[int, int], text: bytes, why: str) -> None:
        """Set a bad file aside, or leave it where a newer quintain or a newer writer put it."""
        if (schema := _schema(text)) > SCHEMA:
            left = "these are left in place and ignored"
            self.note(f"{_newer(self.path, schema)}; {left}: {_NEWER_HELP}")
            return
        place = self.path / "corrupt" / f"{file.stem}.{time.time_ns()}.json"
        try:
            if _identity(file.stat()) != identity:
                return  # rewritten meanwhile: what is there now is not what was read
            place.parent.mkdir(exist_ok=True)
            os.replace(file, place)
            self.note(f"{file} is not a valid record ({why}); moved to {place}")
        except OSError:
            self.note(f"{file} is not a valid record ({why}); ignored")

    def note(self, sentence: str) -> None:
        """Keep a sentence about what could not be used, and log it once."""
        if sentence not in self.problems:
            self.problems.append(sentence)
            log.warning("%s", sentence)


def _newer(path: Path, schema: int) -> str:
    return f"the store {path} has records of schema {schema}, this quintain knows up to {SCHEMA}"


def _by_folder(keys: Iterable[str]) -> dict[str, set[str]]:
    folders: dict[str, set[str]] = {}
    for key in keys:
        folders.setdefault(key[:2], set()).add(key)
    return folders


def _listed(folder: Path) -> set[str]:
    """The keys of the records in a folder."""
    try:
        return {name[:-5] for name in os.listdir(folder) if _NAME.fullmatch(name)}
    except OSError:  # not there; else `check_writable` or `all` says so
        return set()


def _is_record(path: Path) -> bool:
    return bool(_NAME.fullmatch(path.name)) and path.parent.name == path.name[:2]


def _parse(file: Path, text: bytes) -> Record:
    record = Record.model_validate_json(text)
    if record.key != file.stem:
        raise ValueError(f"it holds the key {record.key}")
    return record


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_ino, stat.st_mtime_ns


def _schema(text: bytes) -> int:
    try:
        value = json.loads(text)["schema"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return value if isinstance(value, int) else 0


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines)
