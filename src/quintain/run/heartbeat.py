"""Tells who looks at the store that a cell runs: `running/<key>.json`, written by the run itself.

It works wherever a run works, because nothing but the store is needed. A thread writes the file
every few seconds with the step that was last heard of; a file that is old is of a run that has died
or hangs so that not even a thread gets on.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from quintain.compose.cells import Cell
from quintain.records.schema import utc_now

EVERY = 3.0  # seconds between two beats
FOLDER = "running"

Progress = Callable[[int, int], None]


def remove(store: Path, key: str, pid: int | None) -> None:
    """Take away the last beat of a run that was killed, unless another run beats there now."""
    file = store / FOLDER / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads(file.read_text()).get("pid") == pid:
            file.unlink(missing_ok=True)


class Heartbeat:
    """Beats while its `with` block lasts; hand it to a run as its `progress`.

    A store that cannot be written is no reason to fail a run: then there is no beat.
    """

    def __init__(self, store: Path, cell: Cell, then: Progress = lambda step, steps: None) -> None:
        self._file = store / FOLDER / f"{cell.key}.json"
        self._then, self._ended = then, threading.Event()
        self._state: dict[str, Any] = {
            "key": cell.key,
            "label": cell.label,
            "host": platform.node(),
            "pid": os.getpid(),
            "started": utc_now(),
            "step": 0,
            "steps": 0,
            "stepped": None,
        }
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __call__(self, step: int, steps: int) -> None:
        self._state |= {"step": step, "steps": steps, "stepped": utc_now()}
        self._then(step, steps)

    def __enter__(self) -> Heartbeat:
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(EVERY)
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._ended.wait(EVERY):
            self._write()

    def _write(self) -> None:
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps(self._state | {"beat": utc_now()}))
                temporary.replace(self._file)
            finally:
                temporary.unlink(missing_ok=True)  # half-written on a disk that is full
