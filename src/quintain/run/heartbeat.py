"""Shows in the store that a cell is running, in a file `running/<key>.json` of the run.

A thread writes the file every few seconds with the last reported step, so an old file means that
the run has ended or hangs.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quintain.plan.cell import Cell
from quintain.records.schema import utc_now

INTERVAL = 3.0  # seconds between two writes
FOLDER = "running"


def pid_namespace() -> str:
    """Return what process ids belong to: those of a container are not those of its host."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def remove_heartbeat(store: Path, key: str, pid: int | None) -> None:
    """Remove the file of a run that was killed, unless another run has replaced it."""
    file = store / FOLDER / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads(file.read_text()).get("pid") == pid:
            file.unlink(missing_ok=True)


class Heartbeat:
    """Writes the file until its `with` block ends; a run calls it to report its steps.

    If the store cannot be written, the run goes on without a heartbeat. `report_progress` is called
    with the same steps.
    """

    def __init__(
        self,
        store: Path,
        cell: Cell,
        report_progress: Callable[[int, int], None] = lambda step, steps: None,
    ) -> None:
        self._file = store / FOLDER / f"{cell.key}.json"
        self._report_progress, self._stopped = report_progress, threading.Event()
        self._state: dict[str, Any] = {
            "key": cell.key,
            "label": cell.label,
            "host": platform.node(),
            "pid": os.getpid(),
            "pid_namespace": pid_namespace(),
            "started": utc_now(),
            "step": 0,
            "steps": 0,
            "stepped": None,
        }
        self._thread = threading.Thread(target=self._write_regularly, daemon=True)

    def __call__(self, step: int, steps: int) -> None:
        self._state |= {"step": step, "steps": steps, "stepped": utc_now()}
        self._report_progress(step, steps)

    def __enter__(self) -> Heartbeat:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(INTERVAL)
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _write_regularly(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self._write()

    def _write(self) -> None:
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps(self._state | {"beat": utc_now()}))
                temporary.replace(self._file)
            finally:
                temporary.unlink(missing_ok=True)  # incomplete if the disk is full
