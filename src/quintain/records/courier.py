"""Takes a command to a remote store: fetches before it, sends while it runs and after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from quintain.records.remote import Remote, RemoteError
from quintain.records.store import StoreError, fetchers

SEND_EVERY = 1.0  # seconds
FETCH_EVERY = 20.0  # seconds; a cell that another machine has finished need not run here
LONGEST = 30.0  # seconds between two tries while the remote is away
END = 45.0  # seconds that a send which is under way may take at the end

Say = Callable[[str], None]


@dataclass
class Trip:
    """A command's settings with a folder in place of the URL, and what it adds to the exit code."""

    settings: list[str]
    code: int = 0


@contextmanager
def mirrored(settings: Sequence[str], *, writes: bool, say: Say) -> Iterator[Trip]:
    """Run a command on the working store of the URL in `store=`; a folder stays as it is.

    Args:
        settings: the words of the command.
        writes: the command makes records, so a remote that takes none is an error at once.
        say: shows a sentence to the user.

    Raises:
        StoreError: the URL cannot be used, or the remote refuses.
    """
    url = next((v for word in reversed(settings) if (v := _url(word)) is not None), None)
    if url is None:
        yield Trip([_plain(word) for word in settings])
        return
    remote = Remote(url)
    remote.prepare()
    _fetch(remote, writes, say)
    trip = Trip([word if _url(word) is None else f"store={remote.store.path}" for word in settings])
    fetchers[remote.store.path] = remote.bring_samples
    courier = Courier(remote)
    courier.start()
    try:
        yield trip
    finally:
        del fetchers[remote.store.path]
        left = courier.finish()
        if left:
            say(_unsent(remote, left, courier.trouble))
            trip.code = int(writes)  # who only looks has lost nothing
        elif courier.trouble:
            say(f"{courier.trouble} for a while; all records have been sent since")


class Courier(threading.Thread):
    """Sends what has finished and fetches what others finished, until `finish`."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(daemon=True, name="courier")
        self._remote = remote
        self._over = threading.Event()
        self.trouble = ""  # what last went wrong

    def run(self) -> None:
        pause, fetched = SEND_EVERY, time.monotonic()
        while not self._over.wait(pause):
            try:
                self._remote.push()
                if time.monotonic() - fetched > FETCH_EVERY:
                    self._remote.pull()
                    fetched = time.monotonic()
                pause = SEND_EVERY
            except (StoreError, OSError) as error:
                self.trouble, pause = str(error), min(2 * pause, LONGEST)

    def finish(self) -> int:
        """Stop, and try once more; how many records could not be sent."""
        self._over.set()
        self.join(timeout=END)
        try:
            if not self.is_alive():
                self._remote.push()
        except (StoreError, OSError) as error:
            self.trouble = str(error)
        return self._remote.waiting()


def _fetch(remote: Remote, writes: bool, say: Say) -> None:
    try:
        remote.pull()
        if writes:
            remote.check_writable()
    except RemoteError as error:
        if not error.away:
            raise
        if not remote.seen:
            raise StoreError(
                f"{error}, and never was from here: check the URL, the endpoint and the network"
            ) from error
        say(f"{error}: going on with {remote.store.path}, sent when it is there again")


def _unsent(remote: Remote, left: int, trouble: str) -> str:
    records = "1 record waits" if left == 1 else f"{left} records wait"
    return (
        f"{trouble or remote.url + ' is slow'}: {records} in {remote.store.path} and will be sent "
        f"by the next command with store={remote.url}"
    )


def _setting(word: str) -> str | None:
    """The value of `store=`, without quotes; None for other words."""
    key, equals, value = word.partition("=")
    return value.strip("'\"") if equals and key.lstrip("+") == "store" else None


def _url(word: str) -> str | None:
    value = _setting(word)
    return value if value and "://" in value and not value.startswith("file://") else None


def _plain(word: str) -> str:
    """`store=file:///x` is the folder `/x`."""
    value = _setting(word)
    if value is None or not value.startswith("file://"):
        return word
    return f"store={value.removeprefix('file://')}"
