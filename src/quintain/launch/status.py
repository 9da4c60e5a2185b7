"""How far a plan is, told by the store alone: from another terminal, or another machine.

What runs is known by the heartbeats of the runs themselves (`run.heartbeat`).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from quintain.compose.errors import printable
from quintain.compose.estimate import hours
from quintain.compose.planfile import load
from quintain.records.store import Store
from quintain.run.heartbeat import EVERY, FOLDER
from quintain.run.machine import available_cores

STALE = 5 * EVERY  # seconds after which a run is no longer believed to live
LARGEST = 65536  # bytes of a heartbeat that are read
REFRESH = 2.0  # seconds between two looks
FAILURES, SAMPLE = 5, 20  # failures shown; finished records whose seconds are read


@dataclass
class Running:
    """A run under way: its step, and how long ago (seconds) it began, stepped and was heard of."""

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

    def sentence(self) -> str:
        words = f"{self.label}  step {self.step}/{self.steps or '?'}"
        words += f"  for {hours(self.running_for / 3600)} on {self.host} ({self.pid})"
        if self.stale:
            return f"{words}; not heard of for {hours(self.heard_ago / 3600)}: dead or stuck"
        if self.stepped_ago is not None and self.stepped_ago > 60:
            words += f"; the last step was {hours(self.stepped_ago / 3600)} ago"
        return words


@dataclass
class Status:
    """What `quintain status` shows. `seconds_left` is an estimate, None where nothing is known."""

    plan: str
    cells: int
    done: int
    failed: int
    skipped: int
    waiting: int
    left: int = 0
    running: list[Running] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    seconds_left: float | None = None

    @property
    def over(self) -> bool:
        return not self.waiting and all(run.stale for run in self.running)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def status_of(file: Path, store: Store) -> Status:
    """Of the plan in a file, by the records and heartbeats of a store."""
    content = load(file)
    entries = content["cells"]
    keys = {entry["key"] for entry in entries}
    found = store.statuses(keys)
    running = [r for r in beats(store.path) if r.key in keys and not (r.stale and r.key in found)]
    live = {r.key for r in running if not r.stale}
    left = {e["key"] for e in entries if e.get("action") == "left"} - set(found) - live
    skipped = {e["key"] for e in entries if e.get("action") == "skipped" and e["key"] not in found}
    skipped |= {key for key, text in found.items() if text == "skipped"}
    failed = [key for key, text in found.items() if text == "failed" and key not in live]
    done = [key for key, text in found.items() if text == "ok" and key not in live]
    waiting = keys - live - left - skipped - set(failed) - set(done)
    made = Status(str(file), len(keys), len(done), len(failed), len(skipped), len(waiting))
    made.left, made.running = len(left), running
    made.failures = _failures(store, failed)
    made.seconds_left = _left(content, store, entries, waiting, running, done)
    return made


def beats(store: Path) -> list[Running]:
    """The runs that a store knows of, the longest first."""
    now, found = datetime.now(UTC), []
    for file in sorted((store / FOLDER).glob("*.json")):
        try:
            beat = json.loads(file.read_bytes()[:LARGEST])
            heard, began = (_ago(now, beat[name]) for name in ("beat", "started"))
            stepped = None if beat["stepped"] is None else _ago(now, beat["stepped"])
            run = Running(
                key=str(beat["key"]),
                label=_line(beat["label"]),
                host=_line(beat["host"]),
                pid=int(beat["pid"]),
                step=_count(beat["step"]),
                steps=_count(beat["steps"]),
                running_for=began,
                stepped_ago=stepped,
                heard_ago=heard,
                stale=heard > STALE,
            )
        except (OSError, ArithmeticError, ValueError, KeyError, TypeError, RecursionError):
            continue
        found.append(run)
    return sorted(found, key=lambda run: -run.running_for)


def _line(value: Any) -> str:
    """A name of a stranger's, in one line."""
    return " ".join(printable(str(value)).split())[:200]


def _count(value: Any) -> int:
    """A number of steps; raises ValueError where it cannot be one."""
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(value)
    return value


def _ago(now: datetime, moment: str) -> float:
    return max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())


def _failures(store: Store, failed: Sequence[str]) -> list[dict[str, str]]:
    """The last failures, the newest first."""

    def written(key: str) -> float:
        try:
            return store.file(key).stat().st_mtime
        except OSError:
            return 0.0

    newest = sorted(failed, key=written, reverse=True)[:FAILURES]
    records = [record for key in newest if (record := store.read(key))]
    return [
        {
            "label": f"{r.names.dataset}/{r.names.model}/{r.names.hardware}/s{r.seed}",
            "kind": r.error.kind,
            "message": printable(r.error.message.strip().partition("\n")[0]),
        }
        for r in records
        if r.error is not None
    ]


def _left(
    content: dict[str, Any],
    store: Store,
    entries: Sequence[dict[str, Any]],
    waiting: set[str],
    running: Sequence[Running],
    done: Sequence[str],
) -> float | None:
    """Seconds: estimates of what waits, and the rest of what runs at its own pace, by workers."""
    live = [run for run in running if not run.stale]
    if not waiting and not live:
        return 0.0
    each = {entry["key"]: _estimate(content, entry) for entry in entries}
    known = [seconds for key in waiting if (seconds := each[key]) is not None]
    usual = sum(known) / len(known) if known else _usual(store, done)
    if usual is None and waiting:
        return None
    total = sum(known) + (len(waiting) - len(known)) * (usual or 0.0)
    for run in live:
        if run.step and run.steps:
            total += run.running_for * (run.steps - run.step) / run.step
        else:
            total += each.get(run.key) or usual or 0.0
    launch = content["settings"].get("launch")
    workers = launch.get("workers") if isinstance(launch, dict) else None
    some = workers if type(workers) is int and 0 < workers < 2**53 else available_cores()
    return total / max(1, len(live), some)


def _estimate(content: dict[str, Any], entry: dict[str, Any]) -> float | None:
    try:
        estimate = content["groups"][entry["group"]]["estimate"]
        seconds = float("nan" if estimate is None else estimate["seconds"])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def _usual(store: Store, done: Sequence[str]) -> float | None:
    """The mean of some finished cells."""
    records = [store.read(key) for key in done[-SAMPLE:]]
    seconds = [record.cost.seconds.total for record in records if record and record.cost]
    return sum(seconds) / len(seconds) if seconds else None


_HOW_ON = "where no sweep or queue is at work, quintain sweep --resume {} goes on"


def show(found: Status) -> RenderableType:
    """For people."""
    live = sum(not run.stale for run in found.running)
    words = f"{found.done} of {found.cells} cells done, {live} running, {found.waiting} waiting"
    words += f", {found.failed} failed" if found.failed else ""
    words += f", {found.skipped} skipped" if found.skipped else ""
    words += f", {found.left} left out" if found.left else ""
    if found.seconds_left:
        words += f"; about {hours(found.seconds_left / 3600)} left"
    lines = [Text(words)]
    if found.waiting and not live:
        lines.append(Text(f"nothing runs: {_HOW_ON.format(found.plan)}", style="yellow"))
    lines += [Text(r.sentence(), style="yellow" if r.stale else "") for r in found.running]
    for one in found.failures:
        lines.append(Text(f"failed: {one['label']}: {one['kind']}: {one['message']}", style="red"))
    return Group(Text(f"plan: {found.plan}", style="dim"), *lines)


def watch(file: Path, store: Store, console: Console) -> None:
    """Show it again every two seconds until nothing waits or runs; Ctrl-C ends it."""
    with Live(show(status_of(file, store)), console=console, auto_refresh=False) as live:
        while not (found := status_of(file, store)).over:
            live.update(show(found), refresh=True)
            time.sleep(REFRESH)
        live.update(show(found), refresh=True)
