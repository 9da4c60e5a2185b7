"""Runs cells on a Ray cluster: a task each, which starts the cell's command in a process.

A task sends back one sentence; the result is in the store, which every node must see. Ray ends a
task's worker when the task is cancelled or the sweep ends, and the run ends with its worker.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.compose.settings import Settings
from quintain.launch.events import Ending, Event
from quintain.launch.job import Order, Run, carry_out, ended, write_failure, write_orders
from quintain.launch.resources import Resources, by_resources
from quintain.records.schema import Record, utc_now
from quintain.records.store import Store, StoreError
from quintain.run.attempt import tail
from quintain.run.machine import available_cores

POLL = 0.25  # seconds between two looks at `stopped`
CONNECT = 10.0  # seconds for a cluster's address to answer
LEAVE = 30.0  # seconds for cancelled runs to keep their state
OBJECT_STORE = 100 * 2**20  # bytes, of a Ray that we start: tasks send sentences only


@dataclass
class _Task:
    cell: Cell
    before: Record | None
    started: str = field(default_factory=utc_now)
    began: float = field(default_factory=time.monotonic)


def _answers(address: str | None) -> None:
    """Raises UsageError where nothing listens at an address: Ray would wait for minutes."""
    named = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address or "")
    if named is None:
        return
    try:
        socket.create_connection((named[1], int(named[2])), CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster at launch.ray.address={address}: {error}") from error


def whole_machine(nodes: Sequence[dict[str, Any]], needs: Resources) -> float:
    """All CPUs of the largest machine that lives and has what is needed, so nothing runs beside."""
    held: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
    fit = [has.get("CPU", 0.0) for has in held if has.get("GPU", 0.0) >= needs.gpus]
    return max([float(needs.cpus), *fit])


class RayCluster:
    """At most `workers` tasks in Ray's hands at once; Ray starts them where there is room."""

    def __init__(self, store: Store, settings: Settings, workers: int) -> None:
        self._store, self._settings, self._workers = store, settings, workers
        self._tasks: dict[Any, _Task] = {}
        self._nodes: list[dict[str, Any]] = []

    def run(self, cells: Sequence[Cell], stopped: Callable[[], int]) -> Generator[Event]:
        ray = self._connect()
        try:
            queue = deque(self._orders(cells, ray.cluster_resources()))
            self._nodes = ray.nodes()
            while (queue or self._tasks) and not stopped():
                while queue and len(self._tasks) < self._workers:
                    yield self._submit(ray, *queue.popleft())
                ready, _ = ray.wait(list(self._tasks), timeout=POLL)
                for reference in ready:
                    yield self._ended(ray, reference)
                yield Event("tick")
        finally:
            self._cancel(ray)
            ray.shutdown()

    def _connect(self) -> Any:
        """Ray, connected to the cluster or started here; raises UsageError."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "launch.executor=ray needs ray: pip install 'quintain[ray]'"
            ) from error
        address = self._settings.ray["address"]
        _answers(address)
        own = {
            "address": "local",
            "num_cpus": self._settings.workers or available_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
        }
        try:
            ray.init(
                **({"address": address} if address else own),
                configure_logging=False,
                log_to_driver=False,
            )
        except Exception as error:  # Ray raises many kinds; each means that there is no cluster
            where = f"no Ray cluster at launch.ray.address={address}" if address else "no Ray here"
            raise UsageError(f"{where}: {_first(error)}") from error
        return ray

    def _orders(
        self, cells: Sequence[Cell], has: dict[str, float]
    ) -> list[tuple[Cell, Order, Resources]]:
        """Raises UsageError for what a Ray that we started can never give."""
        found = []
        for needs, group in by_resources(cells).items():
            lacks = needs.gpus > has.get("GPU", 0) or needs.cpus > has.get("CPU", 0)
            if lacks and not self._settings.ray["address"]:
                here = f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs"
                raise UsageError(
                    f"{group[0].label} needs {needs}; Ray on this machine has {here}: choose other"
                    " hardware, more launch.workers, or a cluster by launch.ray.address"
                )
            limits = self._settings.time_limit, self._settings.checkpoint_every
            orders = write_orders(self._store, group, *limits)
            found += [(cell, order, needs) for cell, order in zip(group, orders, strict=True)]
        return found

    def _submit(self, ray: Any, cell: Cell, order: Order, needs: Resources) -> Event:
        cpus = whole_machine(self._nodes, needs) if needs.alone else float(needs.cpus)
        task = ray.remote(num_cpus=cpus, num_gpus=needs.gpus, max_retries=0, max_calls=1)(run_order)
        before = self._store.read(cell.key)
        self._tasks[task.options(name=cell.label).remote(order)] = _Task(cell, before)
        return Event("started", cell)

    def _ended(self, ray: Any, reference: Any) -> Event:
        task = self._tasks.pop(reference)
        try:
            sentence, kind = str(ray.get(reference)), "killed"
        except ray.exceptions.RayError as error:
            kind = "oom" if isinstance(error, ray.exceptions.OutOfMemoryError) else "killed"
            sentence = f"Ray lost the run before it wrote its record: {_first(error)}"
        record = ended(self._store, task.cell.key, task.before)
        ending: Ending
        if record is not None:
            ending = record.status
            sentence = record.error.message if record.error else record.reason or ""
        else:
            ending, sentence = self._failed(task, kind, sentence)
        seconds = time.monotonic() - task.began
        return Event("ended", task.cell, ending=ending, sentence=sentence, seconds=seconds)

    def _failed(self, task: _Task, kind: str, sentence: str) -> tuple[Ending, str]:
        log = tail(self._store.path / "logs" / f"{task.cell.key}.log")
        claim = self._store.claim(task.cell.key)
        if claim is None:
            return "left", sentence  # another sweep is running it
        claim.release()
        try:
            write_failure(self._store, task.cell, kind, sentence, task.started, log)
        except StoreError as error:
            return "unwritten", f"{sentence}; {error}"
        return "failed", sentence

    def _cancel(self, ray: Any) -> None:
        for reference in self._tasks:
            ray.cancel(reference, force=False)
        if self._tasks:
            ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=LEAVE)


def run_order(order: Order) -> str:
    """On a worker of the cluster: one cell; says how it ended."""
    return carry_out(order, Run(order), threading.Event())


def _first(error: BaseException) -> str:
    """The first line that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
