"""The log file of a run, of limited size, which a thread copies from a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import threading
from pathlib import Path

MAX_BYTES = 10 * 2**20  # of a log; a longer one loses its middle
_READ_BYTES = 2**16
_LINE_BYTES = 2**14  # distance within which the end of a line is searched


class BoundedLog:
    """A log file of at most `max_bytes` and the pipe into it; a full disk does not stop the run.

    A run writes into `writer`, an end of the pipe, and has to wait if the disk is slower. The
    launcher closes its own copy of `writer` once the run has inherited it.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._file = path.open("w+b", buffering=0)
        self._max_bytes, self._size, self._head_size = max_bytes, 0, 0
        self._omitted, self._marker = 0, b""
        self._reader, self.writer = multiprocessing.Pipe(duplex=False)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._copy, name=f"log of {path.stem}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the rest of the pipe, even if a process still has it open, and close the file."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()
        self._file.close()
        self._reader.close()

    def _copy(self) -> None:
        while True:
            timeout = 0.0 if self._closed.is_set() else 0.1
            if not select.select([self._reader], [], [], timeout)[0]:
                if timeout == 0.0:
                    return
                continue
            data = os.read(self._reader.fileno(), _READ_BYTES)
            if not data:
                return
            with contextlib.suppress(OSError):  # on a full disk the pipe must still be emptied
                self._write(data)

    def _write(self, data: bytes) -> None:
        if self._size + len(data) > self._max_bytes:
            self._omit_middle()
        self._size += self._file.write(data)

    def _omit_middle(self) -> None:
        """Remove the middle of the log, if possible in whole lines, so that no secret is cut.

        Redaction would not find half a secret.
        """
        handle = self._file.fileno()
        if not self._head_size:
            half = self._max_bytes // 2
            newline = os.pread(handle, _LINE_BYTES, half - _LINE_BYTES).rfind(b"\n")
            self._head_size = half if newline < 0 else half - _LINE_BYTES + newline + 1
        quarter = self._max_bytes // 4
        tail = os.pread(handle, quarter, self._size - quarter)
        tail = tail[tail.find(b"\n", 0, _LINE_BYTES) + 1 :]
        self._omitted += self._size - self._head_size - len(self._marker) - len(tail)
        os.ftruncate(handle, self._head_size)
        self._file.seek(self._head_size)
        self._marker = f"\n[{self._omitted} bytes left out]\n".encode()
        self._size = self._head_size + self._file.write(self._marker + tail)
