"""Runs `quintain tune`: all searches, then cells with the best settings of each."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from quintain.compose.requirements import missing_packages
from quintain.compose.settings import SWEEP_LIMITS, Settings
from quintain.errors import ExitCode, UsageError
from quintain.launch import fork_server
from quintain.launch.events import Event
from quintain.launch.limits import read_limits
from quintain.launch.local import POLL, LocalPool
from quintain.launch.planning import LaunchServices
from quintain.launch.signals import collect_stop_signals
from quintain.launch.sweep import check_destination, run_plan
from quintain.plan.cell import Cell
from quintain.plan.cell_factory import make_run_cell
from quintain.plan.plan import Plan, plan_cells
from quintain.records.schema import TuningResult
from quintain.records.store import Store
from quintain.run.measure.machine import count_available_cores
from quintain.tuning.search import Search, trial_store
from quintain.tuning.studies import Study, TuningPlan, plan_tuning

REQUIREMENTS = {"needs": ["optuna>=4.5,<5"]}  # in the form of a card
MAX_MESSAGE = 160  # characters of a trial's result in the output


@dataclass
class TuningOutcome:
    """The exit code of the command, and the keys of the cells with the best settings."""

    store: Path
    exit_code: int = ExitCode.OK
    keys: list[str] = field(default_factory=list)


def run_tuning(
    overrides: Sequence[str], console: Console, *, dry_run: bool = False, baselines: bool = True
) -> TuningOutcome:
    """Run all searches, then the best settings of each with every seed.

    Intervals in the overrides are searched, other values are swept. `dry_run` prints the searches
    and runs nothing; `baselines` also runs the baselines of every dataset.

    Raises:
        UsageError: with every problem of the overrides; nothing has run.
        StoreError: the store cannot be written; nothing has run.
    """
    if "optuna" not in fork_server.PRELOAD:
        fork_server.PRELOAD.append("optuna")
    missing = "needs optuna: pip install 'quintain[tune]'" if missing_packages(REQUIREMENTS) else ""
    console.print("composing and checking the searches …", style="dim")
    services = LaunchServices()
    plan = plan_tuning(overrides, services, baselines=baselines, missing=missing)
    store = plan.settings.store
    _check_settings(plan.settings)
    check_destination(plan.settings)
    if dry_run:
        _print_plan(plan, console)
        return TuningOutcome(store)
    Store(store).check_writable()
    searches = [Search(study, store) for study in plan.studies if study.skip is None]
    with collect_stop_signals() as signals:
        _run_searches(searches, plan.settings, console, lambda: len(signals))
    if signals:
        count = sum(len(search.finished_trials()) for search in searches)
        console.print(f"interrupted after {count} trials; the same command runs the rest")
        return TuningOutcome(store, ExitCode.INTERRUPTED)
    return _run_best(plan, searches, services, console)


def _check_settings(settings: Settings) -> None:
    """Raise UsageError for settings that a sweep supports and a search does not."""
    problems = []
    if settings.executor != "local":
        problems.append(
            f"launch.executor={settings.executor}: a search runs its trials on this machine; start"
            " the same command on several machines that share the store, or search here and sweep"
            " there"
        )
    for name in SWEEP_LIMITS:
        if getattr(settings, name) is not None:
            problems.append(
                f"{name}: the cost of a search cannot be estimated; limit it by tune.trials and the"
                " budget of a trial (budget.steps, budget.seconds)"
            )
    if problems:
        raise UsageError(problems)


def _run_searches(
    searches: Sequence[Search],
    settings: Settings,
    console: Console,
    stop_requests: Callable[[], int],
) -> None:
    """Run trials until all searches are finished, by this process or others."""
    workers = settings.workers or count_available_cores()
    scheduler = _TrialScheduler(searches, workers, console)
    while not stop_requests() and not all(search.is_finished() for search in searches):
        scheduler.fill_queue()
        pool = LocalPool(trial_store(settings.store), workers=workers, limits=read_limits(settings))
        with contextlib.closing(pool.run(scheduler.queue, stop_requests)) as events:
            for event in events:
                scheduler.handle(event)
        if not stop_requests():
            time.sleep(POLL)  # the remaining trials run in another process


class _TrialScheduler:
    """Starts the next trial in the search with the fewest running trials.

    In this way each trial is sampled after as many finished trials as possible; with as many
    searches as workers, each search runs one trial at a time.
    """

    def __init__(self, searches: Sequence[Search], workers: int, console: Console) -> None:
        self.queue: deque[Cell] = deque()
        self._searches, self._workers, self._console = searches, workers, console
        self._search_of: dict[str, Search] = {}  # by key of the cell
        self._steps: dict[str, int] = {}

    def fill_queue(self) -> None:
        """Queue a cell for each free worker, as long as there are trials to start."""
        while sum(len(search.running) for search in self._searches) < self._workers:
            for search in sorted(self._searches, key=lambda search: len(search.running)):
                if not search.is_finished() and (cell := search.next_cell()) is not None:
                    self.queue.append(cell)
                    self._search_of[cell.key] = search
                    break
            else:
                return

    def handle(self, event: Event) -> None:
        """Record the result of a trial that ended, and start the next one."""
        if event.cell is None:
            return
        key = event.cell.key
        if event.kind == "step":
            self._steps[key] = event.step
        elif event.kind == "ended":
            search, step = self._search_of[key], self._steps.get(key, 0)
            for number, result in search.record_result(event.cell, event.message, step):
                self._print_result(search, number, result)
            self.fill_queue()

    def _print_result(self, search: Search, number: int, result: str) -> None:
        line = f"[{search.study.label} trial {number + 1}/{search.num_trials}]"
        values = _format_values(search.values(number))
        text = f"{line} {result.splitlines()[0][:MAX_MESSAGE]}  {values}"
        self._console.print(Text(text), soft_wrap=True)


def _run_best(
    plan: TuningPlan, searches: Sequence[Search], services: LaunchServices, console: Console
) -> TuningOutcome:
    """Run the best settings of each search, and the current settings of skipped studies."""
    store = plan.settings.store
    skipped = [study for study in plan.studies if study.skip]
    cells = [make_run_cell(composition) for study in skipped for composition in study.compositions]
    has_failed = False
    for search in searches:
        best = search.best_trial()
        if best is None:
            has_failed = True
            text = f"{search.study.label}: {search.explain_failure()}"
            console.print(Text(text, style="red"), soft_wrap=True)
            continue
        tuned = search.summarize(best)
        console.print(Text(_describe_best(search.study, tuned)), soft_wrap=True)
        cells += search.study.make_best_cells(tuned["best"], tuned)
    if not cells:
        return TuningOutcome(store, ExitCode.FAILED)
    sweep = plan_cells(plan.settings, [*cells, *plan.baselines], services)
    outcome = run_plan(sweep, console)
    _update_cached_records(sweep)
    code = outcome.exit_code or (ExitCode.FAILED if has_failed else ExitCode.OK)
    return TuningOutcome(store, code, [planned.cell.key for planned in sweep.cells])


def _update_cached_records(plan: Plan) -> None:
    """Add the summary of the search to records that were in the store before it."""
    store = Store(plan.settings.store)
    for planned in plan.cells:
        if planned.cell.tuned is None:
            continue
        tuned = TuningResult.model_validate(planned.cell.tuned)
        record = store.read(planned.cell.key)
        if record is not None and record.status == "ok" and record.tuned != tuned:
            store.write(record.model_copy(update={"tuned": tuned}))


def _describe_best(study: Study, tuned: dict[str, Any]) -> str:
    counts = f"{tuned['pruned']} pruned, {tuned['failed']} failed, {tuned['steps']} steps"
    return (
        f"{study.label}: best of {tuned['trials']} trials ({counts}): {tuned['metric']}"
        f" {tuned['best_value']:.4g} on validation with {_format_values(tuned['best'])}"
    )


def _format_values(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _print_plan(plan: TuningPlan, console: Console) -> None:
    """Print studies, trials and cells (`--dry-run`)."""
    trials = 0
    for study in plan.studies:
        if study.skip is not None:
            console.print(Text(f"skipped {study.label}: {study.skip}"), soft_wrap=True)
            continue
        total, finished = study.search["trials"], _count_finished(study, plan.settings)
        trials += total - finished
        space = ", ".join(f"{n} {_format_range(node)}" for n, node in study.plain_space().items())
        seeds = ", ".join(str(composition.config["seed"]) for composition in study.compositions)
        text = (
            f"study   {study.label}  {study.name[:8]}  {total} trials, {finished} done;"
            f" {space}; then the best with seeds {seeds}"
        )
        console.print(Text(text), soft_wrap=True)
    searched = [study for study in plan.studies if study.skip is None]
    cells = sum(len(study.compositions) for study in searched)
    console.print(
        f"{len(searched)} studies, {trials} trials to run, then {cells} cells"
        f" and {len(plan.baselines)} baselines"
    )


def _count_finished(study: Study, settings: Settings) -> int:
    if not (trial_store(settings.store).path / study.name / "journal.log").exists():
        return 0
    return len(Search(study, settings.store).finished_trials())


def _format_range(node: dict[str, Any]) -> str:
    if "choices" in node:
        return f"of {node['choices']}"
    return f"{node['low']}…{node['high']}" + (" (log)" if node.get("log") else "")
