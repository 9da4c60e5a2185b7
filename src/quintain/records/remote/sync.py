"""Runs a command on a remote store: fetches records first, pushes them while it runs and after."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from quintain.errors import RemoteError, StoreError
from quintain.records.remote.remote import Remote
from quintain.records.store import sample_fetchers

PUSH_INTERVAL = 1.0  # seconds
FETCH_INTERVAL = 20.0  # seconds; finished cells of other machines are then skipped
MAX_PAUSE = 30.0  # seconds between attempts while the remote cannot be reached
FINAL_TIMEOUT = 45.0  # seconds to wait at the end for a push in progress

Notify = Callable[[str], None]


@dataclass
class SyncSession:
    """The overrides with the working store instead of the URL, and the exit code of the sync."""

    overrides: list[str]
    exit_code: int = 0


@contextmanager
def synced_store(
    overrides: Sequence[str], *, writes: bool, notify: Notify
) -> Iterator[SyncSession]:
    """Run a command on the working store of the URL in `store=`; do nothing for a folder.

    Args:
        overrides: the overrides of the command.
        writes: whether the command writes records; then a remote that refuses writing raises an
            error at the start, and records that cannot be pushed set `exit_code` to 1.
        notify: called with messages for the user.

    Raises:
        StoreError: the URL cannot be used, or the remote refuses.
    """
    stores = [_parse_store(override) for override in overrides]
    urls = [store for store in stores if "://" in store and not store.startswith("file://")]
    pairs = list(zip(overrides, stores, strict=True))
    if not urls:
        local = {store: f"store={store[7:]}" for store in stores if store.startswith("file://")}
        yield SyncSession([local.get(store, override) for override, store in pairs])
        return
    remote = Remote(urls[-1])
    remote.prepare()
    _fetch_first(remote, writes, notify)
    local = dict.fromkeys(urls, f"store={remote.store.path}")
    session = SyncSession([local.get(store, override) for override, store in pairs])
    sample_fetchers[remote.store.path] = remote.fetch_samples
    synchronizer = Synchronizer(remote)
    synchronizer.start()
    try:
        yield session
    finally:
        del sample_fetchers[remote.store.path]
        unpushed = synchronizer.finish()
        if unpushed:
            notify(_describe_unpushed(remote, unpushed, synchronizer.last_error))
            session.exit_code = int(writes)
        elif synchronizer.last_error:
            notify(f"{synchronizer.last_error} for a while; all records have been pushed since")


class Synchronizer(threading.Thread):
    """Pushes finished records and fetches those of other machines, until `finish` is called."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(daemon=True, name="synchronizer")
        self._remote = remote
        self._finished = threading.Event()
        self.last_error = ""

    def run(self) -> None:
        """Push and fetch in a loop; after errors, with increasing pauses up to `MAX_PAUSE`."""
        pause, last_fetch = PUSH_INTERVAL, time.monotonic()
        while not self._finished.wait(pause):
            try:
                self._remote.push()
                if time.monotonic() - last_fetch > FETCH_INTERVAL:
                    self._remote.fetch_records()
                    last_fetch = time.monotonic()
                pause = PUSH_INTERVAL
            except (StoreError, OSError) as error:
                self.last_error, pause = str(error), min(2 * pause, MAX_PAUSE)

    def finish(self) -> int:
        """Stop, push once more, and return the number of records that could not be pushed."""
        self._finished.set()
        self.join(timeout=FINAL_TIMEOUT)
        try:
            if not self.is_alive():
                self._remote.push()
        except (StoreError, OSError) as error:
            self.last_error = str(error)
        return self._remote.count_unpushed()


def _fetch_first(remote: Remote, writes: bool, notify: Notify) -> None:
    try:
        remote.fetch_records()
        if writes:
            remote.check_writable()
    except RemoteError as error:
        if not error.is_unreachable:
            raise
        if not remote.has_fetched:
            raise StoreError(
                f"{error}, and never was from this machine: check the URL, the endpoint and the "
                "network"
            ) from error
        notify(f"{error}: using {remote.store.path}; records are pushed when it is reachable")


def _describe_unpushed(remote: Remote, count: int, error: str) -> str:
    records = "1 record is" if count == 1 else f"{count} records are"
    return (
        f"{error or remote.url + ' is slow'}: {records} still in {remote.store.path} and will be "
        f"pushed by the next command with store={remote.url}"
    )


def _parse_store(override: str) -> str:
    """Return the value of a `store=` override without quotes; "" for any other override."""
    key, _, value = override.partition("=")
    return value.strip("'\"") if key.lstrip("+") == "store" else ""
