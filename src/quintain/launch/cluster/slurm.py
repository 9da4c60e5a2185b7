"""Run cells on a Slurm cluster: submit job arrays by submitit, watch squeue and the store.

Every node must be able to access the store. In it, `slurm/jobs/<key>` contains the number of the
Slurm job of a cell. By it another sweep, or the same command later, finds the job and does not
submit the cell again. `slurm/<time>/` contains the inputs and outputs of submitit's jobs.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from quintain.compose.settings import Settings
from quintain.errors import StoreError, UsageError
from quintain.launch.cluster import slurm_cli
from quintain.launch.cluster.run_process import (
    RunSpec,
    read_outcome,
    write_failed_record,
    write_specs,
)
from quintain.launch.cluster.slurm_cli import JobState
from quintain.launch.events import Ending, Event
from quintain.launch.resources import Resources, group_by_resources
from quintain.plan.cell import Cell
from quintain.records.filesystem import translate_os_errors
from quintain.records.schema import Record, utc_now
from quintain.records.store import Store
from quintain.run.runner import read_log_tail

MIN_POLL, MAX_POLL = 0.5, 10.0  # seconds between two calls of squeue, which grow in a long sweep
RECORD_DELAY = 5.0  # seconds until a record appears after the end of its job on a network disk
REQUEUE_DELAY = 90.0  # seconds until Slurm has queued a preempted job again (KillWait)
SIGNAL_BEFORE_END = 90  # seconds before its time limit when a job gets the signal to save
MAX_TIMEOUTS = 1000  # how often a job that reaches its time limit is queued again


@dataclass
class _Job:
    """A Slurm job of one cell.

    Attributes:
        number: job number in an array, such as 12_3.
        record_before: record of the cell before the job was submitted.
        submitted: time of submission, as in records.
        start_time, gone_since: monotonic times; 0: not started, or known to Slurm.
    """

    cell: Cell
    number: str
    record_before: Record | None
    submitted: str
    start_time: float = 0.0
    gone_since: float = 0.0


class SlurmCluster:
    """Executor that submits an array for all cells with the same resources.

    At most `workers` jobs of an array run at once. A stop request cancels the jobs; running ones
    save their state, and the same command resumes them.
    """

    def __init__(self, store: Store, settings: Settings, workers: int) -> None:
        self._store, self._settings, self._workers = store, settings, workers
        self._folder = store.path.absolute() / "slurm"
        self._jobs: list[_Job] = []

    def run(self, cells: Sequence[Cell], stop_requests: Callable[[], int]) -> Generator[Event]:
        """Submit the cells and wait for their records, see `Executor.run`."""
        slurm_cli.check_available(self._settings.slurm["partition"])
        is_detached = False
        try:
            yield from self._submit_unqueued(cells, stop_requests)
            if self._settings.detach:
                is_detached = True
                for job in self._jobs:
                    message = f"Slurm job {job.number}"
                    yield Event("ended", job.cell, ending="detached", message=message)
                return
            yield from self._watch(stop_requests)
        finally:
            if not is_detached:
                slurm_cli.cancel_jobs(job.number for job in self._jobs)
                for job in self._jobs:
                    self._remove_job_number(job)

    def _submit_unqueued(
        self, cells: Sequence[Cell], stop_requests: Callable[[], int]
    ) -> Iterator[Event]:
        """Submit the cells that are not in the queue yet."""
        with self._lock_queue(stop_requests) as is_locked:
            if not is_locked:
                return
            numbers = {cell.key: self._read_job_number(cell) for cell in cells}
            states = slurm_cli.query_states(filter(None, numbers.values()))
            if states is None:
                raise UsageError(
                    "squeue does not answer, so cells could be submitted twice: nothing was"
                    " submitted, try again"
                )
            unqueued = []
            for cell in cells:
                number = numbers[cell.key]
                if number in states and not states[number].is_final:
                    self._jobs.append(_Job(cell, number, self._store.read(cell.key), utc_now()))
                else:
                    unqueued.append(cell)
            if self._jobs:
                yield Event("note", message=f"{len(self._jobs)} of the cells are in the queue")
            for resources, group in group_by_resources(unqueued).items():
                size = slurm_cli.max_array_size()
                for start in range(0, len(group), size):
                    yield self._submit(resources, group[start : start + size])

    def _submit(self, resources: Resources, cells: list[Cell]) -> Event:
        specs = write_specs(self._store, cells, self._settings)
        records_before = [self._store.read(cell.key) for cell in cells]
        numbers = self._submit_array(resources, specs)
        (self._folder / "jobs").mkdir(parents=True, exist_ok=True)
        for cell, number, record in zip(cells, numbers, records_before, strict=True):
            (self._folder / "jobs" / cell.key).write_text(number)
            self._jobs.append(_Job(cell, number, record, utc_now()))
        message = f"Slurm job {numbers[0].partition('_')[0]}"
        message += f": {len(cells)} cells" if len(cells) > 1 else ""
        return Event("note", message=f"{message}, {resources} each")

    def _submit_array(self, resources: Resources, specs: list[RunSpec]) -> list[str]:
        """Submit an array and return the numbers of its jobs.

        Raises:
            UsageError: submitit is not installed, or sbatch refused the array.
        """
        try:
            from submitit import SlurmExecutor

            from quintain.launch.cluster.slurm_job import CellJob
        except ImportError as error:
            raise UsageError(
                "launch.executor=slurm needs submitit: pip install 'quintain[slurm]'"
            ) from error
        time_text = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        executor = SlurmExecutor(self._folder / f"{time_text}-{os.getpid()}", MAX_TIMEOUTS)
        executor.update_parameters(**self._sbatch_parameters(resources))
        try:
            with translate_os_errors(self._store.path):
                return [job.job_id for job in executor.map_array(CellJob(), specs)]
        except StoreError:
            raise
        except Exception as error:  # the message of submitit's error includes the output of sbatch
            raise UsageError(f"Slurm refused the job: {slurm_cli.sbatch_error(error)}") from error

    def _sbatch_parameters(self, resources: Resources) -> dict[str, Any]:
        """Return the options of sbatch under the names of submitit."""
        options = self._settings.slurm
        gres = options["gres"] or (f"gpu:{resources.gpus}" if resources.gpus else None)
        optional = {
            "partition": options["partition"],
            "account": options["account"],
            "qos": options["qos"],
            "mem": options["memory"],
            "gres": gres,
            "setup": options["setup"] or None,
        }
        exclusive = {"exclusive": True} if resources.exclusive else {}
        return {name: value for name, value in optional.items() if value is not None} | {
            "job_name": "quintain",
            "time": options["time"],
            "cpus_per_task": options["cpus"] or resources.cpus,
            "signal_delay_s": min(SIGNAL_BEFORE_END, 15 * options["time"]),
            "array_parallelism": self._workers,
            "additional_parameters": options["extra"] | exclusive,
        }

    def _watch(self, stop_requests: Callable[[], int]) -> Iterator[Event]:
        start_time, failed_queries = time.monotonic(), 0
        while self._jobs and not stop_requests():
            states = slurm_cli.query_states(job.number for job in self._jobs)
            failed_queries = failed_queries + 1 if states is None else 0
            if failed_queries == 3:
                yield Event("note", message="Slurm does not answer; waiting until it does")
            for job in list(self._jobs) if states is not None else []:
                yield from self._check_job(job, states.get(job.number) if states else None)
            yield Event("tick")
            pause = min(MAX_POLL, max(MIN_POLL, (time.monotonic() - start_time) / 60))
            end = time.monotonic() + pause
            while time.monotonic() < end and not stop_requests():
                time.sleep(0.1)

    def _check_job(self, job: _Job, state: JobState | None) -> Iterator[Event]:
        """Yield an event if a job has started or ended; `state` is None if Slurm forgot the job."""
        if state is not None and not state.is_final:
            job.gone_since = 0.0
            if state.never_starts:
                slurm_cli.cancel_jobs([job.number])
                yield self._record_failure(job, state)
            elif not state.is_waiting and not job.start_time:
                job.start_time = time.monotonic()
                yield Event("started", job.cell)
            return
        outcome = read_outcome(self._store, job.cell.key, job.record_before)
        if outcome is not None:
            yield self._finish(job, *outcome)
            return
        job.gone_since = job.gone_since or time.monotonic()
        # A failed job looks like a preempted one that Slurm will queue again, so wait.
        has_checkpoint = any(self._store.checkpoints(job.cell.key).glob("*.pt"))
        delay = REQUEUE_DELAY if has_checkpoint else RECORD_DELAY
        if time.monotonic() - job.gone_since <= delay:
            return
        # A job ends early if another one has claimed its cell.
        if claim := self._store.claim(job.cell.key):
            claim.release()
            yield self._record_failure(job, state or JobState("gone"))

    def _record_failure(self, job: _Job, state: JobState) -> Event:
        cause = "is no longer known to Slurm" if state.name == "gone" else state.describe()
        message = f"Slurm job {job.number} {cause} before the run wrote its record"
        log = self._store.path / "logs" / f"{job.cell.key}.log"
        job_output = next(iter(self._folder.glob(f"*/{job.number}_0_log.err")), None)
        log_tail = read_log_tail(log) or read_log_tail(job_output)
        kind = {"OUT_OF_MEMORY": "oom", "TIMEOUT": "timeout"}.get(state.name, "killed")
        outcome = write_failed_record(self._store, job.cell, kind, message, job.submitted, log_tail)
        return self._finish(job, *outcome)

    def _finish(self, job: _Job, ending: Ending, message: str) -> Event:
        self._jobs.remove(job)
        self._remove_job_number(job)
        if ending == "ok":
            for file in self._folder.glob(f"*/{job.number}_*"):
                file.unlink(missing_ok=True)
        seconds = time.monotonic() - job.start_time if job.start_time else 0.0
        return Event("ended", job.cell, ending=ending, message=message, seconds=seconds)

    def _read_job_number(self, cell: Cell) -> str:
        """Return the number of the job that was last submitted for a cell, "" if there is none."""
        with contextlib.suppress(OSError):
            return (self._folder / "jobs" / cell.key).read_text().strip()
        return ""

    def _remove_job_number(self, job: _Job) -> None:
        if self._read_job_number(job.cell) == job.number:
            (self._folder / "jobs" / job.cell.key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock_queue(self, stop_requests: Callable[[], int]) -> Iterator[bool]:
        """Prevent two sweeps from submitting at the same time; yield False if stopped before."""
        while (claim := self._store.claim("slurm")) is None:
            if stop_requests():
                yield False
                return
            time.sleep(0.2)
        with claim:
            yield True
