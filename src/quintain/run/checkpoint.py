"""Where the state of an interrupted run is kept, and when: at signals, and every so often.

<folder>/<steps>-<sha256>.pt    one file, written whole or not at all; its name holds its content's
hash, so a torn one is known. Tensors and plain values only: nothing read from it can run code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

import quintain
from quintain.compose.cells import RESULTS_VERSION
from quintain.records.schema import Record

FORMAT = 3
"""Raised when the state of a run changes its form."""

AGAIN = 75  # exit code EX_TEMPFAIL of sysexits.h: the state is kept, run me again
EVERY = 600.0  # seconds between two checkpoints, where nobody says otherwise
SIGNALS = ("SIGTERM", "SIGUSR2")  # Windows has no second
_NAME = re.compile(r"(\d+)-([0-9a-f]{64})\.pt")

State = dict[str, Any]
Stage = Literal["training", "validating", "over"]
"""What comes next: a chunk of steps, the validation after the last one, or the test."""


class Interrupted(BaseException):
    """The run was asked to leave; what it had reached is kept, and it can go on later.

    It may be raised anywhere, by a signal, and no handler of errors may take it for one.
    """


@dataclass
class Keeper:
    """Keeps the state of one cell's run.

    Attributes:
        folder: of this cell's checkpoints; it need not exist.
        key: of the cell.
        every: seconds between two checkpoints; None: only when asked to leave.
        asked: the run should leave; set by a signal.
        patient: there is something to keep, so a signal waits for the next place to do so; before
            that it ends the run at once.
        about: more values for the state, asked for when it is saved.
        notes: why checkpoints were not used.
    """

    folder: Path
    key: str
    every: float | None = EVERY
    asked: bool = False
    patient: bool = False
    about: Callable[[], State] = dict
    notes: list[str] = field(default_factory=list)
    _last: float = field(default_factory=time.monotonic)

    def hear(self) -> None:
        """Leave at the next good moment when SIGTERM or SIGUSR2 comes. Signals are heard in the
        main thread only, and Lightning takes them for itself when it starts: then hear again.
        """
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), self._leave)

    def _leave(self, number: int, frame: object) -> None:
        self.asked = True
        if not self.patient:
            raise Interrupted

    def begin(self) -> None:
        """From here on there is something to keep."""
        self.patient = True

    def leaving(self) -> bool:
        """Whether the run was asked to leave."""
        return self.asked

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        if self.asked:
            return True
        return self.every is not None and time.monotonic() - self._last >= self.every

    def save(self, steps: int, state: State) -> None:
        """Write a checkpoint; raises `Interrupted` where the run was asked to leave.

        An empty state stands for the one that is there.
        """
        if state:
            self.keep(steps, state)
        self._last = time.monotonic()
        if self.asked:
            raise Interrupted

    def keep(self, steps: int, state: State) -> None:
        """Write a checkpoint. A disk that is full must not end a run, so what goes wrong is only
        printed.
        """
        try:
            self._write(steps, self._marks() | {"about": self.about()} | state)
        except Exception as error:  # torch wraps what the disk says
            print(f"no checkpoint at step {steps}: {words(error)}", file=sys.stderr, flush=True)
        self._last = time.monotonic()

    def load(self) -> State | None:
        """The newest state that can be used; `notes` say why others were not."""
        for file in sorted(self._files(), key=_steps, reverse=True):
            found = self._read(file)
            if not isinstance(found, str):
                return found
            self.refuse(found)
        return None

    def refuse(self, why: str) -> None:
        """Note that a checkpoint is not used."""
        self.notes.append(f"a checkpoint was not used: {why}")

    def ended(self, record: Record) -> None:
        """Forget what was kept, unless it may be of use: a run that was short of memory, time or
        disk can go on from there, one that was no number at step 9 is none the next time.
        """
        self.patient = True  # nothing is left to interrupt
        if record.error is None or record.error.kind == "nan":
            self.remove()

    def remove(self) -> None:
        """Forget what was kept: the run has ended."""
        with contextlib.suppress(OSError):
            for file in [*self._files(), *self.folder.glob(".*.tmp")]:
                file.unlink(missing_ok=True)
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return [file for file in found if _NAME.fullmatch(file.name)]

    def _marks(self) -> State:
        """What must be the same for a run to go on as if nothing had happened."""
        return {
            "format": FORMAT,
            "key": self.key,
            "results version": RESULTS_VERSION,
            "quintain": quintain.__version__,
            "torch": str(torch.__version__),
        }

    def _write(self, steps: int, state: State) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        before = [*self._files(), *self.folder.glob(".*.tmp")]
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            made = self.folder / f"{steps}-{_hash(Path(name))}.pt"
            os.replace(name, made)
            _sync(self.folder)
        finally:
            Path(name).unlink(missing_ok=True)
        for old in before:
            if old != made:
                old.unlink(missing_ok=True)

    def _read(self, file: Path) -> State | str:
        """The state, or why it cannot be used."""
        try:
            match = _NAME.fullmatch(file.name)
            if match is None or _hash(file) != match[2]:
                return "its file is damaged"
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            return f"it cannot be read ({words(error)})"
        if not isinstance(state, dict):
            return "it holds no state"
        for name, value in self._marks().items():
            if state.get(name) != value:
                return f"its {name} is {state.get(name)!r}, expected {value!r}"
        return state


def words(error: Exception) -> str:
    """Kind and first line of an error."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}"


def _steps(file: Path) -> int:
    return int(file.name.partition("-")[0])


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
