"""Run cells in parallel on this machine, each in a fork of the fork server."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from quintain.errors import StoreError
from quintain.launch.events import Ending, Event
from quintain.launch.fork_server import fork_context, start_fork_server
from quintain.launch.limits import AwakeClock, Limits
from quintain.launch.process_tree import kill_leftovers, kill_process_tree
from quintain.launch.resources import exclusive_last, required_slots
from quintain.launch.signals import describe_exit
from quintain.launch.worker import run_cell
from quintain.plan.cell import Cell
from quintain.records.claims import Claim
from quintain.records.filesystem import translate_os_errors
from quintain.records.schema import utc_now
from quintain.records.store import Store
from quintain.run.heartbeat import remove_heartbeat
from quintain.run.log import BoundedLog
from quintain.run.preemption_signals import SIGNALS
from quintain.run.record.identity import build_failed_record
from quintain.run.runner import read_log_tail, redact_log

EXIT_TIMEOUT = 10.0  # seconds that a process may take to exit after it has reported its result
MAX_PREEMPTIONS = 3  # restarts of a run that received SIGTERM from another process
POLL = 0.25  # seconds between two checks of limits and of cells that another sweep has claimed
STOP_NOTE = (
    "stopping: running cells have {1:g} s to save their state ({0} of them);"
    " interrupt again to stop at once"
)


class LogError(Exception):
    """Raised when the log of a run cannot be opened."""


@dataclass
class LocalRun:
    """A started run and the messages of its worker.

    `result` is the ending and message that the worker reports last.
    """

    cell: Cell
    claim: Claim
    process: ForkServerProcess
    messages: Connection
    log: Path
    output: BoundedLog
    slots: int
    started: str = field(default_factory=utc_now)
    clock: AwakeClock = field(default_factory=AwakeClock)
    start_time: float = field(default_factory=time.monotonic)
    last_message_time: float = 0.0  # of `clock`
    result: tuple[Ending, str] | None = None
    result_time: float = 0.0
    is_pipe_closed: bool = False

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start_time

    def read_messages(self) -> Iterator[Event]:
        """Yield the steps that the worker has reported, and set `result` once it is reported."""
        try:
            while not self.is_pipe_closed and self.messages.poll():
                kind, first, second = self.messages.recv()
                self.last_message_time = self.clock.read()
                if kind == "step":
                    yield Event("step", self.cell, step=first, steps=second)
                else:
                    self.result, self.result_time = (first, second), self.last_message_time
                    self.is_pipe_closed = True
        except (EOFError, OSError):
            self.is_pipe_closed = True

    def find_violation(self, limits: Limits) -> tuple[str, str] | None:
        """Return the kind and message of the failure if the run exceeds a limit."""
        seconds = self.clock.read()
        return limits.find_violation(self.pid, seconds, seconds - self.last_message_time)

    def terminate(self) -> None:
        """Ask the run to save its state and exit."""
        if self.process.is_alive():
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the run and its descendants at once."""
        kill_process_tree(self.pid)
        self.process.kill()  # the process may have no process group of its own yet
        self.process.join()

    def close(self, store: Store) -> None:
        """Close pipe and log, remove the heartbeat and release the claim of an ended run."""
        self.messages.close()
        self.output.close()
        redact_log(self.log)
        remove_heartbeat(store.path, self.cell.key, self.process.pid)
        self.claim.release()


def start_run(
    store: Store, cell: Cell, claim: Claim, slots: int, checkpoint_every: float | None
) -> LocalRun:
    """Start the run of a claimed cell in a fork of the fork server.

    Raises:
        LogError: the log cannot be opened.
        ChildProcessError: the fork server cannot be started.
        StoreError: the folder of the logs cannot be created.
    """
    folder = store.path / "logs"
    with translate_os_errors(store.path):
        folder.mkdir(parents=True, exist_ok=True)
    start_fork_server()
    log = folder / f"{cell.key}.log"
    try:
        output = BoundedLog(log)
    except OSError as error:
        raise LogError(f"the log of the run cannot be opened: {error}") from error
    messages, worker_end = fork_context().Pipe(duplex=False)
    paths = str(store.path.resolve()), str(log.resolve())
    arguments = (cell.to_json(), *paths, output.writer, worker_end, checkpoint_every)
    process = fork_context().Process(target=run_cell, args=arguments, name=cell.label)
    try:
        process.start()
    except BaseException:
        output.close()
        messages.close()
        raise
    finally:
        worker_end.close()
        output.writer.close()
    return LocalRun(cell, claim, process, messages, log, output, slots)


class LocalPool:
    """Runs cells in parallel and claims each, so that two sweeps never run the same cell.

    Args:
        store: takes the records, logs and claims.
        workers: number of slots. A cell takes one for each thread of each of its ranks, but at most
            all of them.
        limits: limits of each run.
        force: whether to run cells with an ok record, which only another ok record replaces.
    """

    def __init__(
        self, store: Store, *, workers: int, limits: Limits | None = None, force: bool = False
    ) -> None:
        self._store, self._workers, self._limits = store, workers, limits or Limits()
        self._force = force
        self._running: list[LocalRun] = []
        self._queue: deque[Cell] = deque()
        self._preemptions: Counter[str] = Counter()

    def run(self, cells: Sequence[Cell], stop_requests: Callable[[], int]) -> Generator[Event]:
        """Run all cells and yield events, see `Executor.run`; a deque may grow meanwhile.

        After the first stop request running cells have `limits.grace` seconds to save their state;
        the second kills them.
        """
        self._queue = cells if isinstance(cells, deque) else deque(exclusive_last(cells))
        try:
            while (self._queue or self._running) and not stop_requests():
                yield from self._start_cells()
                yield from self._poll_runs()
                yield Event("tick")
            yield from self._terminate_runs(stop_requests)
        except StoreError:  # no further cell can run, but running cells may save their state
            yield from self._terminate_runs(stop_requests)
            raise
        finally:
            for run in list(self._running):
                run.kill()
                self._close(run)

    def _terminate_runs(self, stop_requests: Callable[[], int]) -> Iterator[Event]:
        clock = AwakeClock()
        if self._running and stop_requests() < 2:
            yield Event("note", message=STOP_NOTE.format(len(self._running), self._limits.grace))
        for run in self._running:
            run.terminate()
        while self._running and stop_requests() < 2 and clock.read() < self._limits.grace:
            yield from self._poll_runs()
            yield Event("tick")

    def _start_cells(self) -> Iterator[Event]:
        """Start cells in free slots; a cell that another sweep has claimed goes to the end."""
        for _ in range(len(self._queue)):
            cell = self._queue[0]
            slots = self._workers if cell.exclusive else min(required_slots(cell), self._workers)
            if sum(run.slots for run in self._running) + slots > self._workers:
                return  # else smaller cells could keep a large one waiting for ever
            self._queue.popleft()
            claim = self._store.claim(cell.key)
            if claim is None:
                self._queue.append(cell)
                continue
            yield self._start(cell, claim, slots)

    def _start(self, cell: Cell, claim: Claim, slots: int) -> Event:
        if not self._force and self._store.status(cell.key) == "ok":  # another sweep has run it
            claim.release()
            return Event("ended", cell, ending="cached")
        if self._force and not self._has_forced_checkpoint(cell):
            shutil.rmtree(self._store.checkpoints(cell.key), ignore_errors=True)
        every = self._limits.checkpoint_every
        try:
            self._running.append(start_run(self._store, cell, claim, slots, every))
        except (LogError, ChildProcessError) as error:
            claim.release()
            return Event("ended", cell, ending="unwritten", message=str(error))
        except BaseException:
            claim.release()
            raise
        return Event("started", cell)

    def _has_forced_checkpoint(self, cell: Cell) -> bool:
        """Return whether this sweep wrote the checkpoint, or it is newer than the record."""
        if cell.key in self._preemptions:
            return True
        record = self._store.read(cell.key)
        if record is None or record.status != "ok":
            return False
        times = [file.stat().st_mtime for file in self._store.checkpoints(cell.key).glob("*.pt")]
        return min(times, default=0.0) > record.finished_at().timestamp()

    def _poll_runs(self) -> Iterator[Event]:
        """Wait briefly for messages and exits of runs, and enforce the limits."""
        sources: list[object] = [run.messages for run in self._running if not run.is_pipe_closed]
        sources += [run.process.sentinel for run in self._running]
        if sources:
            wait(sources, timeout=POLL)  # type: ignore[arg-type]
        else:
            time.sleep(POLL)  # another sweep has claimed all remaining cells
        for run in list(self._running):
            yield from run.read_messages()
            if not run.process.is_alive():
                yield from run.read_messages()  # sent between the last read and the exit
                yield from self._finish(run)
            elif run.result is not None:
                if run.clock.read() - run.result_time > EXIT_TIMEOUT:
                    run.kill()
            elif (violation := run.find_violation(self._limits)) is not None:
                run.kill()
                yield self._end(run, *self._write_failure(run, *violation))

    def _finish(self, run: LocalRun) -> Iterator[Event]:
        """Handle the exit of a run's process, which may have ended without a result."""
        run.process.join()
        kill_leftovers(run.pid)
        code = run.process.exitcode or 0
        if run.result is not None:
            ending, message = run.result
        elif -code in SIGNALS:  # before the run could handle the signal
            ending, message = "interrupted", ""
        else:
            ending, message = self._write_failure(run, "killed", describe_exit(code))
        if ending != "interrupted":
            yield self._end(run, ending, message)
            return
        key = run.cell.key
        self._preemptions[key] += 1
        if self._preemptions[key] > MAX_PREEMPTIONS:
            message = f"the run received SIGTERM {self._preemptions[key]} times"
            yield self._end(run, *self._write_failure(run, "interrupted", message))
        else:  # another process sent SIGTERM: resume the run after the queued cells
            self._close(run)
            self._queue.append(run.cell)

    def _write_failure(self, run: LocalRun, kind: str, message: str) -> tuple[Ending, str]:
        run.output.close()
        log_tail = read_log_tail(run.log)
        error = {"kind": kind, "type": "Process", "message": message, "log_tail": log_tail}
        try:
            is_written = self._store.write(build_failed_record(run.cell, error, run.started))
        except StoreError as store_error:
            return "unwritten", f"{message}; {store_error}"
        if is_written:
            return "failed", message
        if self._force:
            return "failed", f"{message}; the record of the earlier run stays"
        return "ok", ""  # the process ended after it had written its ok record

    def _end(self, run: LocalRun, ending: Ending, message: str) -> Event:
        self._close(run)
        return Event("ended", run.cell, ending=ending, message=message, seconds=run.seconds)

    def _close(self, run: LocalRun) -> None:
        self._running.remove(run)
        run.close(self._store)
