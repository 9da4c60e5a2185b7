"""What a run prints goes through a pipe into its log, so that no run can fill the disk."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import threading
from pathlib import Path

MOST = 10 * 2**20  # bytes of a log: its first half stays, of the rest the end is kept
_PIECE = 2**16
_LINE = 2**14  # bytes in which the end of a line is looked for


class Log:
    """A file of at most `MOST` bytes, and the pipe into it; a full disk only shortens it.

    `writer` is for the run; whoever starts it closes ours with `started`. A run that prints faster
    than the disk writes has to wait.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._file = path.open("w+b", buffering=0)
        self._most, self._size, self._head = most, 0, 0
        self._left_out, self._mark = 0, b""
        self._reader, self.writer = multiprocessing.Pipe(duplex=False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._copy, name=f"log of {path.stem}", daemon=True)
        self._thread.start()

    def started(self) -> None:
        """The run has its end of the pipe."""
        self.writer.close()

    def close(self) -> None:
        """Take what is left in the pipe, even if somebody holds it open, and end; twice is once."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        self._file.close()
        self._reader.close()

    def _copy(self) -> None:
        while True:
            waited = 0.0 if self._over.is_set() else 0.1
            if not select.select([self._reader], [], [], waited)[0]:
                if waited == 0.0:
                    return
                continue
            part = os.read(self._reader.fileno(), _PIECE)
            if not part:
                return
            with contextlib.suppress(OSError):  # the disk is full: the run must not wait for us
                self._write(part)

    def _write(self, part: bytes) -> None:
        if self._size + len(part) > self._most:
            self._cut()
        self._size += self._file.write(part)

    def _cut(self) -> None:
        """Leave out the middle, by whole lines where there are any: half a secret is no secret to
        those who look for whole ones.
        """
        handle = self._file.fileno()
        if not self._head:
            half = self._most // 2
            place = os.pread(handle, _LINE, half - _LINE).rfind(b"\n")
            self._head = half if place < 0 else half - _LINE + place + 1
        keep = os.pread(handle, self._most // 4, self._size - self._most // 4)
        keep = keep[keep.find(b"\n", 0, _LINE) + 1 :]
        self._left_out += self._size - self._head - len(self._mark) - len(keep)
        os.ftruncate(handle, self._head)
        self._file.seek(self._head)
        self._mark = f"\n[{self._left_out} bytes left out]\n".encode()
        self._size = self._head
        self._size += self._file.write(self._mark + keep)
