"""Saves the state of a run, so that a preempted or killed run can resume.

<folder>/<steps>-<sha256>.pt    one file, replaced atomically. The hash in its name is that of its
content, so a damaged file is recognised. It holds tensors and plain values only and is loaded with
`weights_only=True`, so loading it cannot run code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from quintain._version import __version__
from quintain.errors import Interrupted
from quintain.plan.cell import RESULTS_VERSION
from quintain.records.filesystem import sync_folder
from quintain.records.schema import Record
from quintain.run.preemption_signals import set_signal_handlers

FORMAT = 4
"""Version of a checkpoint's content; a checkpoint of another version is not loaded."""

INTERVAL = 600.0  # seconds between two checkpoints by default
_NAME = re.compile(r"(\d+)-([0-9a-f]{64})\.pt")

State = dict[str, Any]
Stage = Literal["training", "validating", "over"]
"""What a resumed run does next: train a chunk, validate, or test because training is over."""


class Checkpointer:
    """Saves and loads the state of one run; this base class saves nothing and ignores signals.

    All ranks of a run call the methods at the same places.
    """

    @property
    def notes(self) -> Sequence[str]:
        """Reasons why checkpoints were not used."""
        return ()

    def install_signal_handlers(self) -> None:
        """Handle `SIGNALS`, in the main thread; called again after Lightning replaced them."""

    def arm(self) -> None:
        """Let a signal wait for the next save; before this call it raises `Interrupted` at once."""

    def should_save(self) -> bool:
        """Return whether a checkpoint is due or the run was preempted."""
        return False

    def is_preempted(self) -> bool:
        """Return whether a signal has preempted the run."""
        return False

    def save(self, steps: int, shared: State, local: State) -> None:
        """Write a checkpoint; an error while writing is only printed.

        Args:
            steps: optimizer steps so far.
            shared: state that is equal on all ranks.
            local: state of this rank alone.
        """

    def load(self) -> State | None:
        """Return shared and local state of the newest usable checkpoint in one dict, or None."""
        return None

    def discard(self, reason: str) -> None:
        """Remove the checkpoints because they do not fit this run, and note the reason."""


class FileCheckpointer(Checkpointer):
    """Saves the state of one cell's run into a folder.

    Args:
        folder: of this cell's checkpoints; it need not exist.
        key: of the cell.
        interval: seconds between two checkpoints; None: save only when the run is preempted.
    """

    def __init__(self, folder: Path, key: str, interval: float | None = INTERVAL) -> None:
        self.folder, self.key, self.interval = folder, key, interval
        self._notes: list[str] = []
        self._is_preempted = self._is_armed = False
        self._saved_at = time.monotonic()

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def install_signal_handlers(self) -> None:
        set_signal_handlers(self._handle_signal)

    def _handle_signal(self, number: int, frame: object) -> None:
        self._is_preempted = True
        if not self._is_armed:
            raise Interrupted

    def arm(self) -> None:
        self._is_armed = True

    def should_save(self) -> bool:
        if self._is_preempted:
            return True
        return self.interval is not None and time.monotonic() - self._saved_at >= self.interval

    def is_preempted(self) -> bool:
        return self._is_preempted

    def save(self, steps: int, shared: State, local: State) -> None:
        self.save_ranks(steps, shared, [local])

    def save_ranks(self, steps: int, shared: State, ranks: Sequence[State]) -> None:
        """Write a checkpoint with the local state of every rank."""
        try:
            self._write(steps, self._required_values() | shared | {"ranks": list(ranks)})
        except Exception as error:  # such as a full disk, which must not end the run
            print(f"no checkpoint at step {steps}: {summarize(error)}", file=sys.stderr, flush=True)
        self._saved_at = time.monotonic()

    def load(self) -> State | None:
        state = self.load_ranks()
        return None if state is None else state | state["ranks"][0]

    def load_ranks(self) -> State | None:
        """Return the newest usable state, with the local states of all ranks under "ranks"."""
        newest_first = sorted(self._list_files(), key=lambda f: -int(f.name.partition("-")[0]))
        for file in newest_first:
            state = self._read(file)
            if not isinstance(state, str):
                return state
            self._note(state)
        return None

    def discard(self, reason: str) -> None:
        self._note(reason)
        self.remove()

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            for file in [*self._list_files(), *self.folder.glob(".*.tmp")]:
                file.unlink(missing_ok=True)
            self.folder.rmdir()

    def finish(self, record: Record) -> None:
        """Remove the checkpoints unless another run of the cell can use them.

        A run that lacked memory, time or disk can resume. A run whose loss became NaN cannot: it
        would become NaN at the same step again.
        """
        self.arm()  # a signal has nothing to interrupt any more
        if record.error is None or record.error.kind == "nan":
            self.remove()

    def _note(self, reason: str) -> None:
        self._notes.append(f"a checkpoint was not used: {reason}")

    def _list_files(self) -> list[Path]:
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        return [file for file in files if _NAME.fullmatch(file.name)]

    def _required_values(self) -> State:
        """Return the values that must be equal in a checkpoint and in the run that resumes it."""
        return {
            "format": FORMAT,
            "key": self.key,
            "results version": RESULTS_VERSION,
            "quintain": __version__,
            "torch": str(torch.__version__),
        }

    def _write(self, steps: int, state: State) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        old_files = [*self._list_files(), *self.folder.glob(".*.tmp")]
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            new_file = self.folder / f"{steps}-{_hash(Path(name))}.pt"
            os.replace(name, new_file)
            sync_folder(self.folder)
        finally:
            Path(name).unlink(missing_ok=True)
        for old in old_files:
            if old != new_file:
                old.unlink(missing_ok=True)

    def _read(self, file: Path) -> State | str:
        """Return the state in a file, or the reason why it is unusable."""
        try:
            match = _NAME.fullmatch(file.name)
            if match is None or _hash(file) != match[2]:
                return "its file is damaged"
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            return f"it cannot be read ({summarize(error)})"
        if not isinstance(state, dict):
            return "it holds no state"
        for name, value in self._required_values().items():
            if state.get(name) != value:
                return f"its {name} is {state.get(name)!r}, expected {value!r}"
        return state


def summarize(error: Exception) -> str:
    """Return the class of an error and the first line of its message, 200 characters at most."""
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line[:200]}"


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
