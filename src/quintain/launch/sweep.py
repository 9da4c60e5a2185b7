"""A sweep from plan to exit code: run what is missing, mirror it, say what failed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from quintain.compose.errors import printable
from quintain.compose.estimate import hours
from quintain.compose.plan import Plan, plan_file
from quintain.launch.events import Ending, Event
from quintain.launch.executors import choose, workers_of
from quintain.launch.view import make_view
from quintain.records import faults
from quintain.records.scrub import scrub
from quintain.records.store import Store, StoreError
from quintain.run.identity import skipped

OK, FAILED_CELLS, USAGE, INTERRUPTED = 0, 1, 2, 130


@dataclass
class Outcome:
    """How each cell of a sweep ended, and the sentence of each that did not end well."""

    endings: dict[str, Ending] = field(default_factory=dict)
    sentences: dict[str, tuple[str, str]] = field(default_factory=dict)
    interrupted: bool = False

    def take(self, event: Event) -> None:
        if event.kind == "ended" and event.cell is not None:
            self.endings[event.cell.key] = event.ending
            if event.ending in ("failed", "unwritten"):
                self.sentences[event.cell.key] = (event.cell.label, event.sentence)

    @property
    def exit_code(self) -> int:
        """0 all well, 1 a cell failed, 130 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return FAILED_CELLS if self.sentences else OK


def run_plan(plan: Plan, console: Console) -> Outcome:
    """Run a plan's cells where its settings say.

    Raises:
        StoreError: the store cannot be written; nothing was run.
        UsageError: the executor cannot run anything; nothing was run.
    """
    store, outcome = Store(plan.settings.store), Outcome()
    cells = plan.to_run()
    if not cells and all(p.action in ("cached", "left") for p in plan.cells):
        with contextlib.suppress(StoreError):  # nothing to do needs no right to write
            write_plan(plan)
        return outcome
    store.check_writable()
    write_plan(plan)
    say_notes(plan, console)
    for planned in plan.cells:
        if planned.action == "skipped":
            store.write(skipped(planned.cell, planned.reason))
    workers = workers_of(plan.settings, len(cells))
    executor = choose(plan.settings, store, workers, force=plan.force)
    shown = [planned for planned in plan.cells if planned.action != "left"]
    with (
        interruptible() as stop,
        make_view(console, shown, workers) as view,
        contextlib.closing(executor.run(cells, stopped=lambda: len(stop))) as events,
    ):
        for event in events:
            outcome.take(event)
            view.show(event)
    outcome.interrupted = bool(stop)
    mirror_new(plan, store, outcome, console)
    return outcome


def write_plan(plan: Plan) -> Path:
    """The frozen plan, beside the records; the same words write the same file."""
    file = plan_file(plan.settings.store, plan.name)
    text = json.dumps(scrub(json.loads(plan.to_json())), indent=1)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    with faults.explained(plan.settings.store):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text)
            temporary.replace(file)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return file


def mirror_new(plan: Plan, store: Store, outcome: Outcome, console: Console) -> None:
    """Mirror a sweep's records to Weights & Biases; a failure there is only said.

    All of the plan's, so that what an earlier sweep was too dead to mirror comes along; a record
    that has been mirrored is not sent again.
    """
    if not outcome.endings or plan.settings.wandb["mode"] == "disabled":
        return
    from quintain.records.mirror import mirror

    found = [store.read(planned.cell.key) for planned in plan.cells]
    records = [record for record in found if record]
    report = mirror(records, store, **plan.settings.wandb)
    if report.mode == "disabled":
        return
    words = f"W&B ({report.mode}): {_runs(report.written)} mirrored to {store.path / 'wandb'}"
    words += f", {report.failed} not" if report.failed else ""
    for sentence in (words, *report.notes):
        console.print(Text(sentence, style="dim"), soft_wrap=True)


def say_notes(plan: Plan, console: Console) -> None:
    """What the datasets found out about the user's files."""
    for note in plan.notes:
        console.print(Text(note, style="dim"), soft_wrap=True)


def say(plan: Plan, outcome: Outcome, console: Console) -> None:
    """What happened, in a few lines."""
    counts = [p.action for p in plan.cells]
    ran = [e for e in outcome.endings.values() if e not in ("cached", "left")]
    left = list(outcome.endings.values()).count("left")
    cached = counts.count("cached") + list(outcome.endings.values()).count("cached")
    unit = "cell" if len(counts) == 1 else "cells"
    words = f"{len(counts)} {unit}: {len(ran)} ran, {cached} were in the store"
    words += f", {counts.count('skipped')} skipped" if "skipped" in counts else ""
    words += f", {counts.count('left')} left out" if "left" in counts else ""
    words += f", {len(outcome.sentences)} failed" if outcome.sentences else ""
    words += f", {left} left to the cluster: the same command goes on watching" if left else ""
    console.print(Text(words), soft_wrap=True)
    for planned in plan.cells:
        if planned.action == "skipped":
            words = f"skipped: {planned.cell.label}: {planned.reason}"
            console.print(Text(words, style="dim"), soft_wrap=True)
    for sentence, labels in _alike(outcome).items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        console.print(Text(f"failed: {labels[0]}{more}: {sentence}", style="red"), soft_wrap=True)
    if (key := next(iter(outcome.sentences), None)) is not None:
        log = plan.settings.store / "logs" / f"{key}.log"
        if log.is_file() and log.stat().st_size:
            first = outcome.sentences[key][0]
            console.print(Text(f"the log of {first}: {log}", style="dim"), soft_wrap=True)
    if outcome.interrupted:
        console.print(Text("interrupted; what had finished is kept, the same command goes on"))


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _alike(outcome: Outcome) -> dict[str, list[str]]:
    """First words of a failure → the cells that it is of; missing data stops many in one way."""
    found: dict[str, list[str]] = {}
    for label, sentence in outcome.sentences.values():
        found.setdefault(next(iter(sentence.strip().splitlines()), ""), []).append(label)
    return found


def describe(plan: Plan, console: Console) -> None:
    """What a plan would do, cell by cell (`--dry-run`)."""
    say_notes(plan, console)
    lines = []
    for planned in plan.cells:
        size = f"  {planned.params:,} parameters" if planned.params else ""
        reason = f"  {planned.reason}" if planned.reason else ""
        known = plan.estimates.get(planned.cell.group) if planned.action == "run" else None
        cost = f"  about {hours(known.seconds / 3600)} ({known.basis})" if known else ""
        line = (
            f"{planned.action:<8}{planned.cell.label}  {planned.cell.key[:8]}{size}{cost}{reason}"
        )
        lines.append(printable(line))
    console.out("\n".join(lines), highlight=False)  # one by one, ten thousand take seconds
    actions: Sequence[str] = [planned.action for planned in plan.cells]
    console.print(
        f"{len(actions)} cells: {actions.count('run')} to run,"
        f" {actions.count('cached')} cached, {actions.count('skipped')} skipped"
    )
    if plan.totals is not None and plan.totals.cells:
        console.print(Text(plan.totals.sentence()), soft_wrap=True)
    try:
        words = f"plan: {write_plan(plan)}"
    except StoreError as error:
        words = f"the plan could not be written: {error}"
    console.print(Text(words), soft_wrap=True)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """A list that stays empty until Ctrl-C or SIGTERM comes."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # Python handles signals in the main thread only
        return
    watched = (signal.SIGINT, signal.SIGTERM)
    before = {s: signal.signal(s, lambda number, _: received.append(number)) for s in watched}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
