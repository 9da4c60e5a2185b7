"""Runs cells side by side on this machine: one single-threaded process each, from a fork server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil

from quintain.compose.cells import Cell
from quintain.launch.events import Ending, Event
from quintain.launch.limits import Limits
from quintain.launch.resources import in_order, slots_of
from quintain.launch.server import context, warm
from quintain.launch.worker import work
from quintain.records.faults import explained
from quintain.records.schema import utc_now
from quintain.records.store import Claim, Store, StoreError
from quintain.run.attempt import scrub_log, tail
from quintain.run.heartbeat import remove
from quintain.run.identity import failed
from quintain.run.log import Log

LINGER = 10.0  # seconds that a run may take to leave after its last word
TIMES = 3  # that a run which was asked to leave by somebody else is started again
WAITING = (
    "asked to end: cells that run have {1:g} s to keep their state ({0} of them);"
    " asked again, the sweep ends at once"
)
SKEW = 120.0  # seconds that a file server's clock may be behind
POLL = 0.25  # seconds between two looks at clocks and at cells that another sweep holds


@dataclass
class _Running:
    cell: Cell
    claim: Claim
    process: ForkServerProcess
    pipe: Connection
    log: Path
    output: Log
    slots: int
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    started: str = field(default_factory=utc_now)
    told: tuple[Ending, str] | None = None
    told_at: float = 0.0
    deaf: bool = False  # the pipe has ended


class LocalPool:
    """Cells side by side, each claimed so that two sweeps never run one cell twice.

    Args:
        store: takes the records, logs and claims.
        workers: slots. A cell takes one for each thread of each of its ranks; one that wants more
            than there are runs alone.
        limits: of one run.
        force: run a cell whose record is ok, too; only another such record replaces it.
    """

    def __init__(
        self, store: Store, *, workers: int, limits: Limits | None = None, force: bool = False
    ) -> None:
        self._store, self._workers, self._limits = store, workers, limits or Limits()
        self._force = force
        self._running: list[_Running] = []
        self._queue: deque[Cell] = deque()
        self._left: dict[str, int] = {}

    def run(self, cells: Sequence[Cell], stopped: Callable[[], int]) -> Generator[Event]:
        """Run all cells, yielding what happens.

        Args:
            cells: in the order in which they start.
            stopped: how often we were asked to end. Once: nothing more is started, and what runs
                has the limits' grace to keep its state; twice: it is killed at once.
        """
        # One that may still grow is a search's, and none of its cells runs alone.
        self._queue = cells if isinstance(cells, deque) else deque(in_order(cells))
        try:
            while (self._queue or self._running) and not stopped():
                yield from self._start(self._queue)
                yield from self._listen()
                yield Event("tick")
            yield from self._ask_to_leave(stopped)
        except StoreError:  # what runs may still keep its state
            yield from self._ask_to_leave(stopped)
            raise
        finally:
            self._end_all()

    def _ask_to_leave(self, stopped: Callable[[], int]) -> Iterator[Event]:
        end = time.monotonic() + self._limits.grace
        if self._running and stopped() < 2:
            yield Event("note", sentence=WAITING.format(len(self._running), self._limits.grace))
        for run in self._running:
            if run.process.is_alive():
                assert run.process.pid is not None
                os.kill(run.process.pid, signal.SIGTERM)
        while self._running and stopped() < 2 and time.monotonic() < end:
            yield from self._listen()
            yield Event("tick")

    def _start(self, queue: deque[Cell]) -> Iterator[Event]:
        """Fill the free workers; a cell that another sweep holds goes to the end of the queue."""
        for _ in range(len(queue)):
            wanted = self._workers if queue[0].alone else slots_of(queue[0])
            slots = min(wanted, self._workers)
            if sum(run.slots for run in self._running) + slots > self._workers:
                return  # no smaller one goes before it, or a large one would wait for ever
            cell = queue.popleft()
            claim = self._store.claim(cell.key)
            if claim is None:
                queue.append(cell)
                continue
            if self._force and not self._goes_on(cell):
                shutil.rmtree(self._store.checkpoints(cell.key), ignore_errors=True)
            if not self._force and self._store.status(cell.key) == "ok":  # by another sweep
                claim.release()
                yield Event("ended", cell, ending="cached")
                continue
            try:
                self._running.append(self._spawn(cell, claim, slots))
            except _NoLog as error:
                claim.release()
                yield Event("ended", cell, ending="unwritten", sentence=str(error))
                continue
            except BaseException:
                claim.release()
                raise
            yield Event("started", cell)

    def _goes_on(self, cell: Cell) -> bool:
        """Whether the state that is there is that of a forced run, which was interrupted: of this
        sweep, or of an earlier one, and then it came after the record that it is to replace.
        """
        if cell.key in self._left:
            return True
        record = self._store.read(cell.key)
        if record is None or record.status != "ok":
            return False
        kept = [file.stat().st_mtime for file in self._store.checkpoints(cell.key).glob("*.pt")]
        return min(kept, default=0.0) > record.finished_at().timestamp()

    def _spawn(self, cell: Cell, claim: Claim, slots: int) -> _Running:
        logs = self._store.path / "logs"
        with explained(self._store.path):
            logs.mkdir(parents=True, exist_ok=True)
        warm()
        log = logs / f"{cell.key}.log"
        try:
            output = Log(log)
        except OSError as error:
            raise _NoLog(f"the run has no place for its log: {error}") from error
        ours, theirs = context().Pipe(duplex=False)
        places = str(self._store.path.resolve()), str(log.resolve())
        pipes, every = (output.writer, theirs), self._limits.checkpoint_every
        arguments = (cell.to_json(), *places, *pipes, every, _began() - SKEW)
        process = context().Process(target=work, args=arguments, name=cell.label)
        process.start()
        theirs.close()
        output.started()
        return _Running(cell, claim, process, ours, log, output, slots)

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
                yield from self._ended(run)
            elif run.told is not None:
                if time.monotonic() - run.told_at > LINGER:
                    _kill(run.process)
            elif (over := self._over(run)) is not None:
                _kill(run.process)
                yield self._leave(run, *self._write_failure(run, *over))

    def _over(self, run: _Running) -> tuple[str, str] | None:
        assert run.process.pid is not None
        now = time.monotonic()
        return self._limits.broken(run.process.pid, now - run.began, now - run.heard)

    def _messages(self, run: _Running) -> Iterator[Event]:
        try:
            while not run.deaf and run.pipe.poll():
                kind, first, second = run.pipe.recv()
                run.heard = time.monotonic()
                if kind == "step":
                    yield Event("step", run.cell, step=first, steps=second)
                else:
                    run.told, run.told_at, run.deaf = (first, second), time.monotonic(), True
        except (EOFError, OSError):
            run.deaf = True

    def _ended(self, run: _Running) -> Iterator[Event]:
        run.process.join()
        _end_group(run.process)
        told = run.told or self._died(run)
        if told[0] != "interrupted":
            yield self._leave(run, *told)
            return
        key = run.cell.key
        self._left[key] = self._left.get(key, 0) + 1
        if self._left[key] > TIMES:
            sentence = f"the run was asked to leave (SIGTERM) {self._left[key]} times"
            yield self._leave(run, *self._write_failure(run, "interrupted", sentence))
        else:  # where it was not us who asked, it goes on when the others have begun
            self._close(run)
            self._queue.append(run.cell)

    def _died(self, run: _Running) -> tuple[Ending, str]:
        """A run that ended without a word: killed, or left by `os._exit`."""
        code = run.process.exitcode or 0
        if code == -signal.SIGTERM:  # it had hardly begun, and could not hear us
            return "interrupted", ""
        how = f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        sentence = f"the run's process ended by {how} before it wrote its record"
        if code == -signal.SIGKILL:
            sentence += "; the system may have run out of memory"
        return self._write_failure(run, "killed", sentence)

    def _write_failure(self, run: _Running, kind: str, sentence: str) -> tuple[Ending, str]:
        run.output.close()
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
        self._close(run)
        seconds = time.monotonic() - run.began
        return Event("ended", run.cell, ending=ending, sentence=sentence, seconds=seconds)

    def _close(self, run: _Running) -> None:
        self._running.remove(run)
        run.pipe.close()
        run.output.close()
        scrub_log(run.log)
        remove(self._store.path, run.cell.key, run.process.pid)
        run.claim.release()

    def _end_all(self) -> None:
        for run in list(self._running):
            _kill(run.process)
            self._close(run)


def _began() -> float:
    """When this process began, in seconds since 1970: before it looked at any file of the plan."""
    return psutil.Process().create_time()


class _NoLog(Exception):
    """The run's log cannot be opened."""


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
