"""The progress of a plan, read only from the records and heartbeats of a store."""

from __future__ import annotations

import json
import math
import platform
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from quintain.errors import printable
from quintain.plan.cell import make_label
from quintain.plan.estimate import format_hours
from quintain.plan.plan_file import load_plan_file
from quintain.records.filesystem import read_regular_file
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.run.heartbeat import FOLDER, INTERVAL, pid_namespace
from quintain.run.measure.machine import count_available_cores

STALE_AFTER = 5 * INTERVAL  # seconds without a heartbeat, after which a run counts as dead
LARGEST_HEARTBEAT = 65536  # bytes that are read
REFRESH = 2.0  # seconds between two refreshes of `--watch`
SHOWN_FAILURES = 5
SAMPLED_RECORDS = 20  # finished records whose mean time replaces a missing estimate


@dataclass
class RunningCell:
    """A running cell, from its last heartbeat.

    `running_for`, `stepped_ago` and `heard_ago` are seconds since the start of the run, its last
    step (None before the first) and its last heartbeat; `stale`: the last heartbeat is too old, or
    its process has ended.
    """

    key: str
    label: str
    host: str
    pid: int
    step: int
    steps: int
    running_for: float
    stepped_ago: float | None
    heard_ago: float
    stale: bool

    def describe(self) -> str:
        """Return a line for the terminal."""
        line = f"{self.label}  step {self.step}/{self.steps or '?'}"
        line += f"  for {format_hours(self.running_for / 3600)} on {self.host} ({self.pid})"
        if self.stale and self.heard_ago <= STALE_AFTER:
            return f"{line}; its process has ended without a record"
        if self.stale:
            return f"{line}; no heartbeat for {format_hours(self.heard_ago / 3600)}: dead or stuck"
        if self.stepped_ago is not None and self.stepped_ago > 60:
            line += f"; the last step was {format_hours(self.stepped_ago / 3600)} ago"
        return line


@dataclass
class SweepStatus:
    """What `quintain status` shows: numbers of cells, and the running and failed ones.

    `left` counts cells that `--only` excludes, `resumable` waiting cells whose run has saved its
    state; `seconds_left` is an estimate, None without data.
    """

    plan: str
    cells: int
    done: int
    failed: int
    skipped: int
    waiting: int
    left: int = 0
    resumable: int = 0
    running: list[RunningCell] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    seconds_left: float | None = None

    @property
    def is_finished(self) -> bool:
        return not self.waiting and all(run.stale for run in self.running)


def read_status(file: Path, store: Store) -> SweepStatus:
    """Return the progress of the plan in a file, from the records and heartbeats of a store.

    Raises:
        UsageError: the file is not a plan.
    """
    content = load_plan_file(file)
    entries = content["cells"]
    keys = {entry["key"] for entry in entries}
    statuses = store.statuses(keys)
    running = [
        run
        for run in read_heartbeats(store.path)
        if run.key in keys and not (run.stale and run.key in statuses)
    ]
    live = {run.key for run in running if not run.stale}

    def planned_as(action: str) -> set[str]:
        return {entry["key"] for entry in entries if entry.get("action") == action} - set(statuses)

    def recorded_as(status: str) -> list[str]:
        return [key for key, text in statuses.items() if text == status]

    left = planned_as("excluded") - live
    skipped = planned_as("skipped") | set(recorded_as("skipped"))
    failed = [key for key in recorded_as("failed") if key not in live]
    done = [key for key in recorded_as("ok") if key not in live]
    waiting = keys - live - left - skipped - set(failed) - set(done)
    return SweepStatus(
        plan=str(file),
        cells=len(keys),
        done=len(done),
        failed=len(failed),
        skipped=len(skipped),
        waiting=len(waiting),
        left=len(left),
        resumable=len(waiting & _list_checkpoints(store)),
        running=running,
        failures=_latest_failures(store, failed, content),
        seconds_left=_estimate_seconds_left(content, store, waiting, running, done),
    )


def read_heartbeats(store: Path) -> list[RunningCell]:
    """Return the running cells of a store, longest first; unreadable heartbeats are skipped."""
    now, runs = datetime.now(UTC), []
    for file in sorted((store / FOLDER).glob("*.json")):
        try:
            runs.append(_parse_heartbeat(read_regular_file(file)[:LARGEST_HEARTBEAT], now))
        except (OSError, ArithmeticError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return sorted(runs, key=lambda run: -run.running_for)


def _parse_heartbeat(text: bytes, now: datetime) -> RunningCell:
    beat = json.loads(text)
    heard_ago = _seconds_since(beat["beat"], now)
    return RunningCell(
        key=str(beat["key"]),
        label=_one_line(beat["label"]),
        host=_one_line(beat["host"]),
        pid=int(beat["pid"]),
        step=_check_step(beat["step"]),
        steps=_check_step(beat["steps"]),
        running_for=_seconds_since(beat["started"], now),
        stepped_ago=None if beat["stepped"] is None else _seconds_since(beat["stepped"], now),
        heard_ago=heard_ago,
        stale=heard_ago > STALE_AFTER or _has_ended(beat),
    )


def _has_ended(beat: dict[str, Any]) -> bool:
    """Return whether the process of a heartbeat was one of this machine and has ended."""
    is_here = beat["host"] == platform.node() and beat.get("pid_namespace") == pid_namespace()
    return is_here and not psutil.pid_exists(int(beat["pid"]))


def _list_checkpoints(store: Store) -> set[str]:
    """Return the keys of the cells with a folder in `checkpoints/`."""
    return {folder.name for folder in store.path.glob("checkpoints/*/")}


def _one_line(value: Any) -> str:
    return " ".join(printable(str(value)).split())[:200]


def _check_step(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(value)
    return value


def _seconds_since(moment: str, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())


def _latest_failures(
    store: Store, failed: Sequence[str], content: dict[str, Any]
) -> list[dict[str, str]]:
    """Return label, kind and message of the last failures, the newest first."""
    groups = {entry["key"]: content["groups"].get(entry["group"]) for entry in content["cells"]}

    def modified(key: str) -> float:
        try:
            return store.file(key).stat().st_mtime
        except OSError:
            return 0.0

    newest = sorted(failed, key=modified, reverse=True)[:SHOWN_FAILURES]
    records = [record for key in newest if (record := store.read(key))]
    return [
        {
            "label": _make_label(r, groups.get(r.key)),
            "kind": r.error.kind,
            "message": printable(r.error.message.strip().partition("\n")[0]),
        }
        for r in records
        if r.error is not None
    ]


def _make_label(record: Record, group: Any) -> str:
    """Return the label of a record's cell; `group` is that of the plan, with the variant."""
    variant = group.get("variant") if isinstance(group, dict) else None
    is_alone = "measure" in record.cell
    return _one_line(
        make_label(record.names.model_dump(), record.seed, str(variant or ""), alone=is_alone)
    )


def _estimate_seconds_left(
    content: dict[str, Any],
    store: Store,
    waiting: set[str],
    running: Sequence[RunningCell],
    done: Sequence[str],
) -> float | None:
    """Return the remaining seconds of waiting and running cells, divided by the workers."""
    live = [run for run in running if not run.stale]
    if not waiting and not live:
        return 0.0
    estimates = {entry["key"]: _read_estimate(content, entry) for entry in content["cells"]}
    known = [seconds for key in waiting if (seconds := estimates[key]) is not None]
    samples = known
    if not known:
        records = [store.read(key) for key in done[-SAMPLED_RECORDS:]]
        samples = [record.cost.seconds.total for record in records if record and record.cost]
    typical = sum(samples) / len(samples) if samples else None
    if typical is None and waiting:
        return None
    total = sum(known) + (len(waiting) - len(known)) * (typical or 0.0)
    for run in live:
        if run.step and run.steps:
            total += run.running_for * (run.steps - run.step) / run.step
        else:
            total += estimates.get(run.key) or typical or 0.0
    launch = content["settings"].get("launch")
    workers = launch.get("workers") if isinstance(launch, dict) else None
    if type(workers) is not int or not 0 < workers < 2**53:
        workers = count_available_cores()
    return total / max(1, len(live), workers)


def _read_estimate(content: dict[str, Any], entry: dict[str, Any]) -> float | None:
    try:
        estimate = content["groups"][entry["group"]]["estimate"]
        seconds = float("nan" if estimate is None else estimate["seconds"])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def render_status(status: SweepStatus) -> RenderableType:
    live = sum(not run.stale for run in status.running)
    line = f"{status.done} of {status.cells} cells done, {live} running, {status.waiting} waiting"
    line += f", {status.failed} failed" if status.failed else ""
    line += f", {status.skipped} skipped" if status.skipped else ""
    line += f", {status.left} left out" if status.left else ""
    if status.seconds_left:
        line += f"; about {format_hours(status.seconds_left / 3600)} left"
    lines = [Text(f"plan: {status.plan}", style="dim"), Text(line)]
    if status.resumable:
        lines.append(Text(f"{status.resumable} of the waiting cells have saved their state: they"
                          " continue from there"))  # fmt: skip
    if status.waiting and not live:
        hint = f"to continue, if no sweep or queue is active: {_resume_command(status.plan)}"
        lines.append(Text(f"nothing runs; {hint}", style="yellow"))
    lines += [Text(run.describe(), style="yellow" if run.stale else "") for run in status.running]
    for failure in status.failures:
        line = f"failed: {failure['label']}: {failure['kind']}: {failure['message']}"
        lines.append(Text(line, style="red"))
    return Group(*lines)


def _resume_command(plan: str) -> str:
    return shlex.join(["quintain", "sweep", "--resume", plan])


def watch_status(file: Path, store: Store, console: Console) -> None:
    """Show the status and refresh it until nothing waits or runs; Ctrl-C ends it."""
    status = read_status(file, store)
    with Live(render_status(status), console=console, auto_refresh=False) as live:
        while not status.is_finished:
            time.sleep(REFRESH)
            status = read_status(file, store)
            live.update(render_status(status), refresh=True)
