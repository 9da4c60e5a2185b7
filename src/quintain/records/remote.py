"""A store at an fsspec URL, and the working store on local disk that stands in for it.

Claims, logs and every read stay local; what has finished is sent, what others finished is fetched.
Nothing at the remote is ever replaced or deleted, each object's name holds the hash of its content:

quintain-store.json                                  the layout's version
records/<key[:2]>/<key>.<digest>.json                one version of a cell's record
samples/<key>.<digest>/<name>                        samples of the run that wrote it
logs/<key>.<digest>.log                              the end of a failed run's log, scrubbed
plans/<name>.<digest>.json                           plans of sweeps

So sends may be repeated, and overtake each other, and two machines that finish one cell lose
neither record; the one that counts is chosen when they are read (`records.rank`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from quintain.records import disk, faults, outbox
from quintain.records.rank import DIGEST, digest, rank
from quintain.records.scrub import scrub
from quintain.records.store import Store, StoreError

LAYOUT = 1
MARK = "quintain-store.json"
BATCH = 256  # records fetched at once
MOST = 64 * 2**20  # bytes of an object, and of those fetched at once: nobody fills our memory
LOG_TAIL = 65536  # bytes
PATIENCE = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}
FLAT = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "memory")
"""Without folders; asking for one may make a bucket."""
_USER = re.compile(r"://[^/@:]+@")  # a name without a password, or a container: no secret
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)")
_RECORD = re.compile(rf"([0-9a-f]{{8,64}})\.([0-9a-f]{{{DIGEST}}})\.json")
_SAMPLE = re.compile(r"[\w-][\w.-]*")
_EXTRAS = {"s3": "'quintain[s3]'", "s3a": "'quintain[s3]'"}
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "FSSPEC_S3_ENDPOINT_URL")
_REFUSED = (FileNotFoundError, PermissionError)


class RemoteError(StoreError):
    """The remote did not do as asked; `away` where asking again later may help."""

    def __init__(self, sentence: str, *, away: bool) -> None:
        super().__init__(sentence)
        self.away = away


class Remote:
    """A remote and its working store (`store`).

    Args:
        url: such as `s3://bucket/results`; credentials come from the environment, never from here.

    Raises:
        StoreError: no URL, one with credentials, or its file system is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        found = _URL.fullmatch(self.url)
        if found is None:
            raise StoreError(f"store={scrub(url)}: expected a URL like s3://bucket/results")
        if scrub(bare := _USER.sub("://", url), []) != bare:
            raise StoreError(
                f"store={scrub(url)}: credentials do not belong into a URL, which is shown and "
                "kept; give them by the environment or a file, as the provider's tools want them"
            )
        self._flat = found[1] in FLAT
        self.fs = _filesystem(found[1])
        self.root = str(self.fs._strip_protocol(self.url)).rstrip("/")
        self.store = Store(working_folder(self.url))
        self._known = self.store.path / "remote" / "known"

    @property
    def seen(self) -> bool:
        """Whether this machine has ever fetched from the remote."""
        return self._known.exists()

    def prepare(self) -> None:
        """Make the working store; raises StoreError where local disk refuses."""
        with faults.explained(self.store.path):
            outbox.folder(self.store.path).mkdir(parents=True, exist_ok=True)
            self._known.parent.mkdir(exist_ok=True)
            (self._known.parent / "url").write_text(self.url)

    def check_writable(self) -> None:
        """Write the remote's mark, which says what lies there; raises RemoteError."""
        self._send({f"{self.root}/{MARK}": json.dumps({"layout": LAYOUT}).encode()})

    def pull(self) -> int:
        """Fetch the records that are new there and adopt the better ones; how many were.

        Raises:
            RemoteError: the remote is away or refuses; what was fetched is kept.
            StoreError: the remote is of a newer layout, or local disk refuses.
        """
        self._check_layout()
        known, adopted = self._names(), 0
        sizes = self._find("records")
        found = {path.rsplit("/", 1)[-1]: path for path in sizes}
        fresh = [
            name
            for name in sorted(found)
            if _RECORD.fullmatch(name) and (name not in known or self._lacks(name))
        ]
        for names in _batches(fresh, {name: sizes[path] for name, path in found.items()}):
            texts = self._fetch([found[name] for name in names])
            good = [name for name in names if self._is_whole(name, texts.get(found[name]))]
            for name in good:
                key = name.split(".")[0]
                adopted += self._adopt(key, texts[found[name]])
            self._remember(good)
        self._remember([])  # this machine has been here
        return adopted

    def _lacks(self, name: str) -> bool:
        """Whether the cell has no record here: it may have been damaged and set aside, or lost."""
        return not self.store.file(name.split(".")[0]).exists()

    def push(self) -> int:
        """Send what waits; how many records were sent.

        Raises:
            RemoteError: the remote is away or refuses; what was not sent still waits.
        """
        sent = 0
        for file in outbox.waiting(self.store.path):
            try:
                text = file.read_bytes()
            except FileNotFoundError:
                continue  # another command sends the same
            if not (named := _RECORD.fullmatch(file.name)):
                continue
            if digest(text) != named[2]:  # as a power failure may leave it; the record runs again
                self.store.note(f"{file} is damaged; not sent")
                file.unlink(missing_ok=True)
                continue
            self._send(self._beside(named[1], named[2], text))
            self._send({f"{self.root}/records/{named[1][:2]}/{file.name}": text})  # last: a promise
            self._remember([file.name])
            file.unlink(missing_ok=True)
            sent += 1
        self._push_plans()
        return sent

    def waiting(self) -> int:
        """How many records have not been sent."""
        return len(outbox.waiting(self.store.path))

    def bring_samples(self, key: str) -> Path:
        """The folder of a cell's samples, fetched where they are not here; it need not exist.

        Raises:
            RemoteError: the remote is away or refuses.
        """
        folder, record = self.store.samples(key), self.store.file(key)
        if folder.is_dir() or not record.is_file():
            return folder
        sizes = self._find(f"samples/{key}.{digest(record.read_bytes())}")
        named = {path: path.rsplit("/", 1)[-1] for path in sizes}
        asked = [path for path, name in named.items() if _SAMPLE.fullmatch(name)]
        texts = self._fetch(next(_batches(asked, sizes), []))
        if texts:
            with faults.explained(self.store.path):
                disk.write_folder(folder, {named[path]: text for path, text in texts.items()})
        return folder

    def _adopt(self, key: str, text: bytes) -> bool:
        try:
            return self.store.adopt(key, text, announce=False)
        except StoreError:
            raise
        except (ValueError, RecursionError):
            self.store.note(f"{self.url} has a record of {key} that is not valid; ignored")
            return False

    def _is_whole(self, name: str, text: bytes | None) -> bool:
        """Fetched, and what its name promises; one that was cut short is asked for again."""
        if text is None or digest(text) != name.split(".")[1]:
            self.store.note(f"{self.url}: {name} could not be read whole; ignored this time")
            return False
        return True

    def _beside(self, key: str, version: str, text: bytes) -> dict[str, bytes]:
        """What goes with a record: samples of a good run, the log of a failed one."""
        store = self.store
        if not rank(text).ok:
            end = _tail(store.path / "logs" / f"{key}.log")
            return {f"{self.root}/logs/{key}.{version}.log": end} if end else {}
        standing = store.file(key)
        if not standing.is_file() or digest(standing.read_bytes()) != version:
            return {}  # these are another run's samples
        files = [f for f in store.samples(key).glob("*") if f.is_file() and not f.is_symlink()]
        return {f"{self.root}/samples/{key}.{version}/{f.name}": f.read_bytes() for f in files}

    def _push_plans(self) -> None:
        known = self._names()
        for file in (self.store.path / "plans").glob("*.json"):
            stat = file.stat()
            name = f"plans/{file.stem} {stat.st_mtime_ns} {stat.st_size}"
            if name not in known:
                text = file.read_bytes()
                self._send({f"{self.root}/plans/{file.stem}.{digest(text)}.json": text})
                self._remember([name])

    def _check_layout(self) -> None:
        with self._told():
            try:
                text = self.fs.cat_file(f"{self.root}/{MARK}", end=4096)
            except FileNotFoundError:
                return  # new, or no such bucket; writing will tell
        try:
            layout = int(json.loads(text)["layout"])
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{self.url}/{MARK} is not a mark of Quintain's ({error!r})"
            ) from error
        if layout > LAYOUT:
            raise StoreError(
                f"{self.url} has layout {layout} and this quintain knows up to {LAYOUT}: "
                "update quintain, or choose another store"
            )

    def _find(self, place: str) -> dict[str, int]:
        """Objects and their bytes; one that is too large is left there, and said."""
        with self._told():
            self.fs.invalidate_cache()
            try:
                found = self.fs.find(f"{self.root}/{place}", detail=True)
            except FileNotFoundError:
                return {}
        sizes = {path: int(info.get("size") or 0) for path, info in found.items()}
        for path in [path for path, size in sizes.items() if size > MOST]:
            size = sizes.pop(path) / 2**20
            self.store.note(
                f"{self.url}: {path.rsplit('/', 1)[-1]} has {size:.0f} MiB, and"
                f" {MOST / 2**20:.0f} is the most that is read; ignored"
            )
        return sizes

    def _fetch(self, paths: Sequence[str]) -> dict[str, bytes]:
        if not paths:
            return {}
        with self._told():
            found = self.fs.cat(list(paths), on_error="return")
        errors = [value for value in found.values() if isinstance(value, Exception)]
        if len(errors) == len(found):
            with self._told():
                raise errors[0]
        return {path: text for path, text in found.items() if isinstance(text, bytes)}

    def _send(self, files: dict[str, bytes]) -> None:
        with self._told():
            for folder in {path.rsplit("/", 1)[0] for path in files} if not self._flat else ():
                self.fs.makedirs(folder, exist_ok=True)
            if files:
                self.fs.pipe(files)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Any error of any file system as a RemoteError; they share no class."""
        try:
            yield
        except Exception as error:
            refused = isinstance(error, _REFUSED) or "Credential" in type(error).__name__
            lines = scrub(str(error)).strip().splitlines() or [type(error).__name__]
            way = "refuses" if refused else "cannot be reached"
            raise RemoteError(f"{self.url} {way} ({lines[0]})", away=not refused) from error

    def _names(self) -> set[str]:
        """What is known to be at the remote and has been adopted here."""
        try:
            return set(self._known.read_text().splitlines())
        except FileNotFoundError:
            return set()

    def _remember(self, names: Iterable[str]) -> None:
        with faults.explained(self.store.path), self._known.open("a") as file:
            file.write("".join(f"{name}\n" for name in names))


def _batches(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """At most BATCH at once, and of MOST bytes together."""
    batch, total = list[str](), 0
    for name in names:
        if batch and (len(batch) == BATCH or total + sizes[name] > MOST):
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += sizes[name]
    if batch:
        yield batch


def working_folder(url: str) -> Path:
    """Where the working store of a URL lies: `QUINTAIN_STORES`, else a folder of the user's data.

    Not a cache: it may hold records that have not been sent.
    """
    given = os.environ.get("QUINTAIN_STORES")
    place = Path(given) if given else platformdirs.user_data_path("quintain") / "stores"
    whole = json.dumps([url, *(os.environ.get(name) for name in _ENDPOINTS)])
    words = re.sub(r"[^a-z0-9]+", "-", url.lower()).strip("-")[:40]
    return place.absolute() / f"{words}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _filesystem(protocol: str) -> Any:
    import fsspec
    from fsspec.registry import known_implementations

    options: dict[str, Any] = {"skip_instance_cache": True}
    if protocol in ("s3", "s3a"):
        options |= {"config_kwargs": PATIENCE, "use_listings_cache": False}
    try:
        return fsspec.filesystem(protocol, **options)
    except ImportError as error:
        known = known_implementations.get(protocol, {}).get("class", protocol)
        package = "s3fs" if protocol in _EXTRAS else known.split(".")[0]
        how = f"pip install {_EXTRAS.get(protocol, package)}"
        raise StoreError(f"{protocol}:// needs {package}: {how} ({error})") from error
    except ValueError as error:
        raise StoreError(f"{protocol}:// is not known; s3, gs, abfs and sftp are") from error


def _tail(file: Path) -> bytes:
    """The end of a log without secrets: its run may not have been scrubbed yet."""
    try:
        with file.open("rb") as handle:
            handle.seek(max(0, file.stat().st_size - LOG_TAIL))
            return scrub(handle.read().decode(errors="replace")).encode()
    except OSError:
        return b""
