"""Runs cells side by side on this machine: one single-threaded process each, from a fork server."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from quintain.compose.cells import Cell
from quintain.launch.events import Ending, Event
from quintain.launch.server import context, warm
from quintain.launch.worker import work
from quintain.records.faults import explained
from quintain.records.schema import utc_now
from quintain.records.store import Claim, Store, StoreError
from quintain.run.attempt import scrub_log, tail
from quintain.run.identity import failed

LINGER = 10.0  # seconds that a run may take to leave after its last word
POLL = 0.25  # seconds between two looks at clocks and at cells that another sweep holds


@dataclass
class _Running:
    cell: Cell
    claim: Claim
    process: ForkServerProcess
    pipe: Connection
    log: Path
    began: float = field(default_factory=time.monotonic)
    started: str = field(default_factory=utc_now)
    told: tuple[Ending, str] | None = None
    told_at: float = 0.0
    deaf: bool = False  # the pipe has ended


class LocalPool:
    """At most `workers` cells at once, each claimed so that two sweeps never run one cell twice.

    Args:
        store: takes the records, logs and claims.
        workers: processes at a time.
        time_limit: seconds that one cell may take; None: no limit.
        force: run a cell whose record is ok, too; only another such record replaces it.
    """

    def __init__(
        self,
        store: Store,
        *,
        workers: int,
        time_limit: float | None = None,
        force: bool = False,
    ) -> None:
        self._store, self._workers, self._limit = store, workers, time_limit
        self._force = force
        self._running: list[_Running] = []

    def run(self, cells: Sequence[Cell], stopped: Callable[[], bool]) -> Generator[Event]:
        """Run all cells, yielding what happens; ends early, running cells killed, if `stopped`."""
        queue = cells if isinstance(cells, deque) else deque(cells)  # may still grow
        try:
            while (queue or self._running) and not stopped():
                yield from self._start(queue)
                yield from self._listen()
                yield Event("tick")
        finally:
            self._end_all()

    def _start(self, queue: deque[Cell]) -> Iterator[Event]:
        """Fill the free workers; a cell that another sweep holds goes to the end of the queue."""
        for _ in range(len(queue)):
            if len(self._running) >= self._workers:
                return
            cell = queue.popleft()
            claim = self._store.claim(cell.key)
            if claim is None:
                queue.append(cell)
                continue
            if (
                not self._force and self._store.status(cell.key) == "ok"
            ):  # the other sweep has finished it
                claim.release()
                yield Event("ended", cell, ending="cached")
                continue
            try:
                self._running.append(self._spawn(cell, claim))
            except BaseException:
                claim.release()
                raise
            yield Event("started", cell)

    def _spawn(self, cell: Cell, claim: Claim) -> _Running:
        logs = self._store.path / "logs"
        with explained(self._store.path):
            logs.mkdir(parents=True, exist_ok=True)
        warm()
        log = logs / f"{cell.key}.log"
        ours, theirs = context().Pipe(duplex=False)
        arguments = (cell.to_json(), str(self._store.path.resolve()), str(log.resolve()), theirs)
        process = context().Process(target=work, args=arguments, name=cell.label)
        process.start()
        theirs.close()
        return _Running(cell, claim, process, ours, log)

    def _listen(self) -> Iterator[Event]:
        sources: list[object] = [run.pipe for run in self._running if not run.deaf]
        sources += [run.process.sentinel for run in self._running]
        if sources:
            wait(sources, timeout=POLL)  # type: ignore[arg-type]
        else:
            time.sleep(POLL)  # another sweep holds all that is left
        for run in list(self._running):
            yield from self._messages(run)
            if not run.process.is_alive():
                yield from self._messages(run)  # what came between the look and the end
                yield self._ended(run)
            elif run.told is not None:
                if time.monotonic() - run.told_at > LINGER:
                    _kill(run.process)
            elif self._limit is not None and time.monotonic() - run.began > self._limit:
                yield self._timed_out(run, self._limit)

    def _messages(self, run: _Running) -> Iterator[Event]:
        try:
            while not run.deaf and run.pipe.poll():
                kind, first, second = run.pipe.recv()
                if kind == "step":
                    yield Event("step", run.cell, step=first, steps=second)
                else:
                    run.told, run.told_at, run.deaf = (first, second), time.monotonic(), True
        except (EOFError, OSError):
            run.deaf = True

    def _ended(self, run: _Running) -> Event:
        run.process.join()
        _end_group(run.process)
        ending, sentence = run.told or self._died(run)
        return self._leave(run, ending, sentence)

    def _died(self, run: _Running) -> tuple[Ending, str]:
        """A run that ended without a word: killed, or left by `os._exit`."""
        code = run.process.exitcode or 0
        how = f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        sentence = f"the run's process ended by {how} before it wrote its record"
        if code == -signal.SIGKILL:
            sentence += "; the system may have run out of memory"
        return self._write_failure(run, "killed", sentence)

    def _timed_out(self, run: _Running, limit: float) -> Event:
        _kill(run.process)
        sentence = f"the run took longer than its limit of {limit:g} s (launch.time_limit)"
        return self._leave(run, *self._write_failure(run, "timeout", sentence))

    def _write_failure(self, run: _Running, kind: str, sentence: str) -> tuple[Ending, str]:
        error = {"kind": kind, "type": "Process", "message": sentence, "log_tail": tail(run.log)}
        try:
            fresh = self._store.write(failed(run.cell, error, run.started))
        except StoreError as reason:
            return "unwritten", f"{sentence}; {reason}"
        if not fresh and self._force:
            return "failed", f"{sentence}; the record of the earlier run stays"
        # A record that may not be replaced is a finished one: the run died after its last deed.
        return ("failed", sentence) if fresh else ("ok", "")

    def _leave(self, run: _Running, ending: Ending, sentence: str) -> Event:
        self._running.remove(run)
        run.pipe.close()
        scrub_log(run.log)
        run.claim.release()
        seconds = time.monotonic() - run.began
        return Event("ended", run.cell, ending=ending, sentence=sentence, seconds=seconds)

    def _end_all(self) -> None:
        for run in self._running:
            _kill(run.process)
            scrub_log(run.log)
            run.pipe.close()
            run.claim.release()
        self._running.clear()


def _kill(process: ForkServerProcess) -> None:
    """The process and whatever it started."""
    _end_group(process)
    process.kill()  # it may have no group of its own yet
    process.join()


def _end_group(process: ForkServerProcess) -> None:
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)
