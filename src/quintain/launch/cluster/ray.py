"""Run cells on a Ray cluster: one task for each cell, which starts the run in a process.

A task returns only a message; its run writes the record into the store, which every node must be
able to access. Ray ends a task's worker when the task is cancelled or the sweep ends, and the run
ends with the worker.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from quintain.compose.settings import Settings
from quintain.errors import UsageError
from quintain.launch.cluster.run_process import (
    RunProcess,
    RunSpec,
    execute,
    read_outcome,
    write_failed_record,
    write_specs,
)
from quintain.launch.events import Ending, Event
from quintain.launch.resources import Resources, group_by_resources
from quintain.plan.cell import Cell
from quintain.records.schema import Record, utc_now
from quintain.records.store import Store
from quintain.run.measure.machine import count_available_cores
from quintain.run.runner import read_log_tail

POLL = 0.25  # seconds between two checks for stop requests
CONNECT_TIMEOUT = 10.0  # seconds to connect to the address of a cluster
SAVE_TIMEOUT = 30.0  # seconds for cancelled runs to save their state
OBJECT_STORE = 100 * 2**20  # bytes of a local Ray, small because tasks return only messages


@dataclass
class _Task:
    cell: Cell
    record_before: Record | None
    started: str = field(default_factory=utc_now)
    start_time: float = field(default_factory=time.monotonic)


class RayCluster:
    """Executor that submits at most `workers` tasks at once; Ray chooses the nodes."""

    def __init__(self, store: Store, settings: Settings, workers: int) -> None:
        self._store, self._settings, self._workers = store, settings, workers
        self._tasks: dict[Any, _Task] = {}
        self._nodes: list[dict[str, Any]] = []

    def run(self, cells: Sequence[Cell], stop_requests: Callable[[], int]) -> Generator[Event]:
        """Run the cells as tasks, see `Executor.run`."""
        ray = self._connect()
        try:
            queue = deque(self._prepare(cells, ray.cluster_resources()))
            self._nodes = ray.nodes()
            while (queue or self._tasks) and not stop_requests():
                while queue and len(self._tasks) < self._workers:
                    yield self._submit(ray, *queue.popleft())
                ready, _ = ray.wait(list(self._tasks), timeout=POLL)
                for task_ref in ready:
                    yield self._finish(ray, task_ref)
                yield Event("tick")
        finally:
            for task_ref in self._tasks:
                ray.cancel(task_ref, force=False)
            if self._tasks:
                ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=SAVE_TIMEOUT)
            ray.shutdown()

    def _connect(self) -> Any:
        """Connect to the cluster, or start a local Ray; return the module `ray`.

        Raises:
            UsageError: ray is not installed, or there is no cluster.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "launch.executor=ray needs ray: pip install 'quintain[ray]'"
            ) from error
        address = self._settings.ray["address"]
        _check_address(address)
        local = {
            "address": "local",
            "num_cpus": self._settings.workers or count_available_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
        }
        try:
            ray.init(
                **({"address": address} if address else local),
                configure_logging=False,
                log_to_driver=False,
            )
        except Exception as error:  # Ray raises many kinds; each means that there is no cluster
            place = f"at launch.ray.address={address}" if address else "on this machine"
            raise UsageError(f"no Ray cluster {place}: {_first_line(error)}") from error
        return ray

    def _prepare(
        self, cells: Sequence[Cell], available: dict[str, float]
    ) -> list[tuple[Cell, RunSpec, Resources]]:
        """Write the specs of all cells.

        Raises:
            UsageError: a cell needs more CPUs or GPUs than a local Ray has.
        """
        prepared = []
        cpus, gpus = available.get("CPU", 0), available.get("GPU", 0)
        for resources, group in group_by_resources(cells).items():
            is_too_large = resources.gpus > gpus or resources.cpus > cpus
            if is_too_large and not self._settings.ray["address"]:
                raise UsageError(
                    f"{group[0].label} needs {resources}; Ray on this machine has {cpus:g} CPUs and"
                    f" {gpus:g} GPUs: choose other hardware, more launch.workers, or a cluster by"
                    " launch.ray.address"
                )
            specs = write_specs(self._store, group, self._settings)
            prepared += [(cell, spec, resources) for cell, spec in zip(group, specs, strict=True)]
        return prepared

    def _submit(self, ray: Any, cell: Cell, spec: RunSpec, resources: Resources) -> Event:
        cpus = float(resources.cpus)
        if resources.exclusive:
            cpus = whole_machine_cpus(self._nodes, resources)
        options = {"num_cpus": cpus, "num_gpus": resources.gpus, "max_retries": 0, "max_calls": 1}
        task = ray.remote(**options)(run_task)
        record_before = self._store.read(cell.key)
        self._tasks[task.options(name=cell.label).remote(spec)] = _Task(cell, record_before)
        return Event("started", cell)

    def _finish(self, ray: Any, task_ref: Any) -> Event:
        task = self._tasks.pop(task_ref)
        try:
            message, kind = str(ray.get(task_ref)), "killed"
        except ray.exceptions.RayError as error:
            kind = "oom" if isinstance(error, ray.exceptions.OutOfMemoryError) else "killed"
            message = f"Ray lost the run before it wrote its record: {_first_line(error)}"
        outcome = read_outcome(self._store, task.cell.key, task.record_before)
        ending, message = outcome or self._record_failure(task, kind, message)
        seconds = time.monotonic() - task.start_time
        return Event("ended", task.cell, ending=ending, message=message, seconds=seconds)

    def _record_failure(self, task: _Task, kind: str, message: str) -> tuple[Ending, str]:
        log_tail = read_log_tail(self._store.path / "logs" / f"{task.cell.key}.log")
        claim = self._store.claim(task.cell.key)
        if claim is None:
            return "detached", message  # another sweep runs the cell
        claim.release()
        return write_failed_record(self._store, task.cell, kind, message, task.started, log_tail)


def run_task(spec: RunSpec) -> str:
    """Run one cell on a node of the cluster; return a message about how it ended."""
    return execute(RunProcess(spec))


def whole_machine_cpus(nodes: Sequence[dict[str, Any]], resources: Resources) -> float:
    """Return the CPUs of the largest live node with enough GPUs; to take all is to run alone."""
    live: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
    fitting = [node.get("CPU", 0.0) for node in live if node.get("GPU", 0.0) >= resources.gpus]
    return max([float(resources.cpus), *fitting])


def _check_address(address: str | None) -> None:
    """Raise a UsageError if no process listens at the address; Ray would wait for minutes."""
    match = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address or "")
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), CONNECT_TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster at launch.ray.address={address}: {error}") from error


def _first_line(error: BaseException) -> str:
    """Return the first line of the message that is not empty, else the class of the error."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
