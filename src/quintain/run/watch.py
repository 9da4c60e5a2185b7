"""A rank that comes to an end in the middle: the others end too, and the record says which it was.

A peer that dies closes its connections, which gloo tells the others at once, wherever they wait;
NCCL may not, so a thread of rank 0 ends the whole run where it does not come out by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.distributed import DistError, Store  # type: ignore[attr-defined]

from quintain.kit.cluster import Place
from quintain.run.checkpoint import AGAIN
from quintain.run.failure import kind_of
from quintain.run.log import Log

POLL = 0.1
GRACE = 30.0  # seconds that rank 0 may take to notice by itself that a rank is gone
SETTLE = 5.0  # seconds in which the ranks that are left tell what happened to them
LINGER = 20.0  # seconds in which a rank that is done leaves
TAIL = 2000  # characters of a rank's log
LOST = 70  # exit code of a run that had to be ended from outside


class RankFailed(RuntimeError):
    """Another rank of this run came to an end; `kind` is the record's kind of failure."""

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Member:
    """A rank that this process has started."""

    rank: int
    process: subprocess.Popen[bytes]
    log: Path
    said: Log | None = None  # writes the log

    def tail(self) -> str:
        """The last lines that it printed."""
        if self.said is not None and self.process.poll() is not None:
            self.said.close()  # whole
        with contextlib.suppress(OSError):
            return self.log.read_bytes()[-TAIL:].decode(errors="replace").strip()
        return ""

    def fault(self) -> str | None:
        """How it ended, None where it is at work or has ended well."""
        code = self.process.poll()
        if code in (None, 0, AGAIN):
            return None
        how = f"by {_signal(-code)}" if code < 0 else f"with exit code {code}"
        said = self.tail()
        return f"ended {how}; " + (f"its last lines:\n{said}" if said else "it had printed nothing")


class Crew:
    """The ranks of one run that this process has started; none, where something else has."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._members: list[Member] = []
        self._over = threading.Event()

    def add(self, member: Member) -> None:
        """Watch one more."""
        self._members.append(member)
        if len(self._members) == 1:
            threading.Thread(target=self._watch, daemon=True, name="quintain-ranks").start()

    def dismiss(self) -> None:
        """Watch no longer: the ranks have given all they had, and what becomes of one is nothing to
        this process, which goes on to measure.
        """
        self._over.set()

    def check(self) -> None:
        """Raise RankFailed where a rank has ended badly."""
        for member in self._members:
            if fault := member.fault():
                raise RankFailed(f"rank {member.rank} of {self.world} {fault}", _kind(member))

    def killed(self) -> RankFailed | None:
        """The first that ended by a signal."""
        gone = [m for m in self._members if (m.process.poll() or 0) < 0]
        if not gone:
            return None
        return RankFailed(f"rank {gone[0].rank} of {self.world} {gone[0].fault()}", "killed")

    def settle(self) -> None:
        """Give those that are failing the time to say why."""
        end = time.monotonic() + SETTLE
        while time.monotonic() < end and any(m.process.poll() is None for m in self._members):
            time.sleep(POLL)

    def silent(self) -> str:
        """What those that have not ended printed last."""
        words = [f"rank {m.rank}: {m.tail()}" for m in self._members if m.process.poll() is None]
        return "\n".join(words)

    def end(self, linger: float) -> None:
        """Wait for those that are leaving, and kill the others."""
        self._over.set()
        end = time.monotonic() + linger
        for member in self._members:
            try:
                member.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
            if member.said is not None:
                member.said.close()

    def _watch(self) -> None:
        """End this process where a rank is gone and this one still waits for it."""
        while not self._over.wait(POLL):
            faults = [(m.rank, fault) for m in self._members if (fault := m.fault())]
            if faults and not self._over.wait(GRACE):
                rank, fault = faults[0]
                print(f"rank {rank} of {self.world} {fault}", file=sys.stderr, flush=True)
                os._exit(LOST)


@contextmanager
def told(store: Store, place: Place, crew: Crew) -> Iterator[None]:
    """What goes wrong in one rank is what rank 0 raises; afterwards none of the crew is left."""
    linger = 0.0
    try:
        yield
        linger = LINGER
    except Exception as error:
        if place.rank != 0:
            _report(store, place.rank, error)
            raise
        if _lost(error):
            crew.settle()
        cause = _cause(error, store, crew)
        if cause is None:
            raise
        raise cause from error
    finally:
        crew.end(linger)


def _report(store: Store, rank: int, error: Exception) -> None:
    lost = _lost(error)
    words = f"{type(error).__name__}: {error}"
    plain = {"lost": lost, "kind": "exception" if lost else kind_of(error), "words": words}
    with contextlib.suppress(Exception):  # rank 0 may be gone, and with it the store
        store.set(f"error/{rank}", json.dumps(plain))


def _cause(error: Exception, store: Store, crew: Crew) -> RankFailed | None:
    """The failure of another rank behind an error of rank 0; None where the error is its own."""
    if isinstance(error, RankFailed) or not _lost(error):
        return None
    if killed := crew.killed():
        return killed
    for rank in range(1, crew.world):
        said = _said(store, rank)
        if said and not said["lost"]:
            return RankFailed(f"rank {rank} of {crew.world} failed: {said['words']}", said["kind"])
    silent = crew.silent()
    if not silent:
        return None
    return RankFailed(f"a rank did not answer ({error}); the last lines of\n{silent}", "timeout")


def _said(store: Store, rank: int) -> dict[str, Any] | None:
    name = f"error/{rank}"
    found: dict[str, Any] | None = json.loads(store.get(name)) if store.check([name]) else None
    return found


def _lost(error: Exception) -> bool:
    """Whether an error says no more than that another rank was not reached."""
    signs = ("gloo", "NCCL", "onnection", "Socket", "Broken pipe")
    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
    )


def _kind(member: Member) -> str:
    return "killed" if (member.process.poll() or 0) < 0 else "exception"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
