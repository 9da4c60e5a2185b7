"""Runs cells on a Slurm cluster: job arrays through submitit, watched through the store and squeue.

Below the store, which every node must see: `slurm/jobs/<key>` names the job that has a cell, so
that another sweep, or the same command later, watches it instead of submitting it again;
`slurm/<moment>/` holds what submitit hands to its jobs and what they print.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.compose.settings import Settings
from quintain.launch import scheduler
from quintain.launch.events import Event
from quintain.launch.job import Order, ended, write_failure, write_orders
from quintain.launch.resources import Resources, by_resources
from quintain.launch.scheduler import State
from quintain.records import faults
from quintain.records.schema import Record, utc_now
from quintain.records.store import Store, StoreError
from quintain.run.attempt import tail

LOOK = (0.5, 10.0)  # seconds between two looks at the queue: at first, and in a long sweep
GRACE = 5.0  # seconds for a record to appear after its job's end: network disks are slow
REQUEUED = 90.0  # seconds in which Slurm queues a job again whose processes it has ended (KillWait)
WARNING = 90  # seconds before its end at which a job is told, as far as it has so many
TIMEOUTS = 1000  # how often a job may reach its time limit and be queued again


@dataclass
class _Job:
    cell: Cell
    number: str  # 12_3
    before: Record | None
    submitted: str
    began: float = 0.0
    over_since: float = 0.0


class Slurm:
    """One array for all cells that ask for the same resources; at most `workers` of it at once.

    Ending early cancels the jobs; those that run keep their state, and the same command goes on.
    """

    def __init__(self, store: Store, settings: Settings, workers: int) -> None:
        self._store, self._settings, self._workers = store, settings, workers
        self._folder = store.path.absolute() / "slurm"
        self._jobs: list[_Job] = []

    def run(self, cells: Sequence[Cell], stopped: Callable[[], int]) -> Generator[Event]:
        scheduler.check(self._settings.slurm["partition"])
        detached = False
        try:
            yield from self._submit_missing(cells, stopped)
            if self._settings.detach:
                detached = True
                yield from self._leave()
            yield from self._watch(stopped)
        finally:
            if not detached:
                self._cancel()

    def _submit_missing(self, cells: Sequence[Cell], stopped: Callable[[], int]) -> Iterator[Event]:
        """Watch what is in the queue already, submit the rest."""
        with self._alone(stopped) as alone:
            if not alone:
                return
            known = {cell.key: self._known(cell) for cell in cells}
            found = scheduler.states(filter(None, known.values()))
            if found is None:
                raise UsageError("Slurm does not say which jobs are in the queue (squeue), so none"
                                 " is submitted a second time: try again")  # fmt: skip
            rest = []
            for cell in cells:
                number = known[cell.key]
                if number in found and not found[number].over:
                    self._jobs.append(_Job(cell, number, self._store.read(cell.key), utc_now()))
                else:
                    rest.append(cell)
            if self._jobs:
                yield Event("note", sentence=f"{len(self._jobs)} of the cells are in the queue")
            for needs, group in by_resources(rest).items():
                most = scheduler.longest_array()
                for start in range(0, len(group), most):
                    yield self._submit(needs, group[start : start + most])

    def _submit(self, needs: Resources, cells: list[Cell]) -> Event:
        limits = self._settings.time_limit, self._settings.checkpoint_every
        orders = write_orders(self._store, cells, *limits)
        before = [self._store.read(cell.key) for cell in cells]
        numbers = self._submitit(needs, orders)
        (self._folder / "jobs").mkdir(parents=True, exist_ok=True)
        for cell, number, record in zip(cells, numbers, before, strict=True):
            (self._folder / "jobs" / cell.key).write_text(number)
            self._jobs.append(_Job(cell, number, record, utc_now()))
        first = numbers[0].partition("_")[0]
        words = f"Slurm job {first}: {len(cells)} cells" if len(cells) > 1 else f"Slurm job {first}"
        return Event("note", sentence=f"{words}, {needs} each")

    def _submitit(self, needs: Resources, orders: list[Order]) -> list[str]:
        """Submit an array; gives the jobs' numbers. Raises UsageError with sbatch's words."""
        try:
            from submitit import SlurmExecutor

            from quintain.launch.slurm_job import CellJob
        except ImportError as error:
            raise UsageError(
                "launch.executor=slurm needs submitit: pip install 'quintain[slurm]'"
            ) from error
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        executor = SlurmExecutor(self._folder / f"{moment}-{os.getpid()}", TIMEOUTS)
        executor.update_parameters(**self._parameters(needs))
        try:
            with faults.explained(self._store.path):
                return [job.job_id for job in executor.map_array(CellJob(), orders)]
        except StoreError:
            raise
        except Exception as error:  # submitit's errors carry what sbatch printed
            raise UsageError(f"Slurm refused the job: {scheduler.refusal(error)}") from error

    def _parameters(self, needs: Resources) -> dict[str, Any]:
        """sbatch's options, by submitit's names."""
        asked = self._settings.slurm
        gres = asked["gres"] or (f"gpu:{needs.gpus}" if needs.gpus else None)
        chosen = {
            "partition": asked["partition"],
            "account": asked["account"],
            "qos": asked["qos"],
            "mem": asked["memory"],
            "gres": gres,
            "setup": asked["setup"] or None,
        }
        return {name: value for name, value in chosen.items() if value is not None} | {
            "job_name": "quintain",
            "time": asked["time"],
            "cpus_per_task": asked["cpus"] or needs.cpus,
            "signal_delay_s": min(WARNING, 15 * asked["time"]),
            "array_parallelism": self._workers,
            "additional_parameters": asked["extra"] | ({"exclusive": True} if needs.alone else {}),
        }

    def _leave(self) -> Iterator[Event]:
        for job in self._jobs:
            yield Event("ended", job.cell, ending="left", sentence=f"Slurm job {job.number}")
        self._jobs.clear()

    def _watch(self, stopped: Callable[[], int]) -> Iterator[Event]:
        began, silent = time.monotonic(), 0
        while self._jobs and not stopped():
            found = scheduler.states(job.number for job in self._jobs)
            silent = silent + 1 if found is None else 0
            if silent == 3:
                yield Event("note", sentence="Slurm does not answer; waiting until it does")
            for job in list(self._jobs) if found is not None else []:
                yield from self._look(job, found.get(job.number) if found else None)
            yield Event("tick")
            least, most = LOOK
            pause = min(most, max(least, (time.monotonic() - began) / 60))
            _sleep(pause, stopped)

    def _look(self, job: _Job, state: State | None) -> Iterator[Event]:
        """What has become of a job: a state that is over, or none, means that it has gone."""
        if state is not None and not state.over:
            job.over_since = 0.0
            if state.hopeless:
                scheduler.cancel([job.number])
                yield self._failed(job, state)
            elif not state.waits and not job.began:
                job.began = time.monotonic()
                yield Event("started", job.cell)
            return
        record = ended(self._store, job.cell.key, job.before)
        if record is not None:
            sentence = record.error.message if record.error else record.reason or ""
            yield self._finish(job, record.status, sentence)
            return
        job.over_since = job.over_since or time.monotonic()
        # A job that is on its way back to the queue looks like one that failed.
        kept = any(self._store.checkpoints(job.cell.key).glob("*.pt"))
        grace = REQUEUED if kept else GRACE
        if time.monotonic() - job.over_since > grace and self._is_free(job.cell):
            yield self._failed(job, state or State("gone"))

    def _is_free(self, cell: Cell) -> bool:
        """Nobody runs the cell: a job that found it claimed leaves it to the one that has it."""
        claim = self._store.claim(cell.key)
        if claim is not None:
            claim.release()
        return claim is not None

    def _failed(self, job: _Job, state: State) -> Event:
        told = "is not known to Slurm any more" if state.name == "gone" else state.words()
        sentence = f"Slurm job {job.number} {told} before the run wrote its record"
        log = self._store.path / "logs" / f"{job.cell.key}.log"
        printed = next(iter(self._folder.glob(f"*/{job.number}_0_log.err")), None)
        words = tail(log) or tail(printed)
        kind = {"OUT_OF_MEMORY": "oom", "TIMEOUT": "timeout"}.get(state.name, "killed")
        try:
            write_failure(self._store, job.cell, kind, sentence, job.submitted, words)
        except StoreError as error:
            return self._finish(job, "unwritten", f"{sentence}; {error}")
        return self._finish(job, "failed", sentence)

    def _finish(self, job: _Job, ending: Any, sentence: str) -> Event:
        self._jobs.remove(job)
        self._forget(job)
        if ending == "ok":
            for file in self._folder.glob(f"*/{job.number}_*"):
                file.unlink(missing_ok=True)
        seconds = time.monotonic() - job.began if job.began else 0.0
        return Event("ended", job.cell, ending=ending, sentence=sentence, seconds=seconds)

    def _cancel(self) -> None:
        scheduler.cancel(job.number for job in self._jobs)
        for job in self._jobs:
            self._forget(job)
        self._jobs.clear()

    def _known(self, cell: Cell) -> str:
        """The number of the job that was last submitted for a cell, or ""."""
        with contextlib.suppress(OSError):
            return (self._folder / "jobs" / cell.key).read_text().strip()
        return ""

    def _forget(self, job: _Job) -> None:
        if self._known(job.cell) == job.number:
            (self._folder / "jobs" / job.cell.key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _alone(self, stopped: Callable[[], int]) -> Iterator[bool]:
        """Two sweeps do not look and submit at the same time; False where we are to end before."""
        while (claim := self._store.claim("slurm")) is None:
            if stopped():
                yield False
                return
            time.sleep(0.2)
        with claim:
            yield True


def _sleep(seconds: float, stopped: Callable[[], int]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        time.sleep(0.1)
