"""`quintain tune`: a search for every model alike, then its best setting as ordinary cells."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.compose.needs import missing_packages
from quintain.compose.plan import Plan, plan_cells
from quintain.compose.settings import LIMITS, Settings
from quintain.compose.studies import Studies, Study, make_studies
from quintain.launch import server
from quintain.launch.events import Event
from quintain.launch.limits import limits_of
from quintain.launch.local import POLL, LocalPool
from quintain.launch.study import Search, trial_store
from quintain.launch.sweep import FAILED_CELLS, INTERRUPTED, interruptible, run_plan, say
from quintain.records.schema import Tuned
from quintain.records.store import Store
from quintain.run.machine import available_cores

NEEDS = {"needs": ["optuna>=4.5,<5"]}
SENTENCE = 160  # characters of a trial's failure in its line


@dataclass
class Tuning:
    """How a command ended: its exit code, and the keys of the cells that it fed."""

    store: Path
    exit_code: int = 0
    keys: list[str] = field(default_factory=list)


def tune(
    words: Sequence[str], console: Console, *, dry_run: bool = False, references: bool = True
) -> Tuning:
    """Search, run the best, say what happened.

    Raises:
        UsageError: everything that is wrong with the words, at once.
        StoreError: the store cannot be written; nothing was run.
    """
    if "optuna" not in server.PRELOAD:
        server.PRELOAD.append("optuna")
    missing = "needs optuna: pip install 'quintain[tune]'" if missing_packages(NEEDS) else ""
    console.print("composing and checking the searches …", style="dim")
    made = make_studies(
        words,
        server.examine,
        references=references,
        missing=missing,
    )
    _check(made.settings)
    if dry_run:
        _describe(made, console)
        return Tuning(made.settings.store)
    Store(made.settings.store).check_writable()
    searches = [Search(s, made.settings.store) for s in made.studies if s.skip is None]
    with interruptible() as stop:
        _search(searches, made.settings, console, lambda: bool(stop))
    if stop:
        told = sum(len(search.finished()) for search in searches)
        console.print(f"interrupted after {told} trials; the same command goes on with the rest")
        return Tuning(made.settings.store, INTERRUPTED)
    return _run_best(made, searches, console)


def _check(settings: Settings) -> None:
    """Raises UsageError for what holds of a sweep and not of a search."""
    problems = []
    if settings.executor != "local":
        problems.append(
            f"launch.executor={settings.executor}: a search runs its trials on this machine; start"
            " the same command on several that share the store, or search here and sweep there"
        )
    for name in LIMITS:
        if getattr(settings, name) is not None:
            problems.append(
                f"{name}: what a search takes is not known before it; its limits are tune.trials"
                " and the budget of a trial (budget.steps, budget.seconds)"
            )
    if problems:
        raise UsageError(problems)


def _search(
    searches: Sequence[Search], settings: Settings, console: Console, stopped: Callable[[], int]
) -> None:
    """Run trials until every search has as many as it wants, here or elsewhere."""
    workers = settings.workers or available_cores()
    store = trial_store(settings.store)
    queue: deque[Cell] = deque()
    crew = _Crew(searches, queue, workers, console)
    while not stopped() and not all(search.done() for search in searches):
        crew.fill()
        pool = LocalPool(store, workers=workers, limits=limits_of(settings))
        with contextlib.closing(pool.run(queue, stopped)) as events:
            for event in events:
                crew.take(event)
        if not stopped():
            time.sleep(POLL)  # another process may have the rest


class _Crew:
    """Keeps the workers busy: with the search that has the fewest trials under way.

    So each search learns from as many ended trials as can be, and where there are as many searches
    as workers, one after another.
    """

    def __init__(
        self, searches: Sequence[Search], queue: deque[Cell], workers: int, console: Console
    ) -> None:
        self._searches, self._queue, self._workers = searches, queue, workers
        self._console = console
        self._of: dict[str, Search] = {}
        self._steps: dict[str, int] = {}

    def fill(self) -> None:
        """Queue cells for the free workers, as far as there are trials to begin."""
        while sum(len(search.mine) for search in self._searches) < self._workers:
            for search in sorted(self._searches, key=lambda search: len(search.mine)):
                if not search.done() and (cell := search.next_cell()) is not None:
                    self._queue.append(cell)
                    self._of[cell.key] = search
                    break
            else:
                return

    def take(self, event: Event) -> None:
        """Note what happened, and begin what comes next."""
        if event.cell is None:
            return
        key = event.cell.key
        if event.kind == "step":
            self._steps[key] = event.step
        elif event.kind == "ended":
            search = self._of[key]
            for number, words in search.take(event.cell, event.sentence, self._steps.get(key, 0)):
                self._say(search, number, words)
            self.fill()

    def _say(self, search: Search, number: int, words: str) -> None:
        line = f"[{search.study.label} trial {number + 1}/{search.asked}]"
        values = ", ".join(f"{k}={v}" for k, v in search.values(number).items())
        self._console.print(
            Text(f"{line} {words.splitlines()[0][:SENTENCE]}  {values}"), soft_wrap=True
        )


def _run_best(made: Studies, searches: Sequence[Search], console: Console) -> Tuning:
    cells: list[Cell] = [cell for s in made.studies if s.skip for cell in s.plain_cells()]
    lost = False
    for search in searches:
        best = search.best()
        if best is None:
            lost = True
            words = f"{search.study.label}: {search.why_none()}"
            console.print(Text(words, style="red"), soft_wrap=True)
            continue
        tuned = search.tuned(best)
        console.print(Text(_found(search.study, tuned)), soft_wrap=True)
        cells += search.study.best_cells(tuned["best"], tuned)
    if not cells:
        return Tuning(made.settings.store, FAILED_CELLS)
    plan = plan_cells(
        made.settings,
        [*cells, *made.references],
        lambda store, keys: Store(store).statuses(keys),
        server.examine,
    )
    outcome = run_plan(plan, console)
    _note(plan)
    say(plan, outcome, console)
    code = outcome.exit_code or (FAILED_CELLS if lost else 0)
    return Tuning(made.settings.store, code, [planned.cell.key for planned in plan.cells])


def _note(plan: Plan) -> None:
    """Say in records that were in the store what found their settings now."""
    store = Store(plan.settings.store)
    for planned in plan.cells:
        if planned.cell.tuned is None:
            continue
        tuned, record = Tuned.model_validate(planned.cell.tuned), store.read(planned.cell.key)
        if record is not None and record.status == "ok" and record.tuned != tuned:
            store.write(record.model_copy(update={"tuned": tuned}))


def _found(study: Study, tuned: dict[str, object]) -> str:
    values = ", ".join(f"{k}={v}" for k, v in dict(tuned["best"]).items())  # type: ignore[call-overload]
    counts = f"{tuned['pruned']} ended early, {tuned['failed']} failed, {tuned['steps']} steps"
    return (
        f"{study.label}: best of {tuned['trials']} trials ({counts}):"
        f" {tuned['metric']} {tuned['best_value']:.4g} on validation with {values}"
    )


def _describe(made: Studies, console: Console) -> None:
    """Studies, trials and cells (`--dry-run`)."""
    trials = 0
    for study in made.studies:
        if study.skip is not None:
            console.print(Text(f"skipped {study.label}: {study.skip}"), soft_wrap=True)
            continue
        asked, done = study.search["trials"], _done(study, made.settings)
        trials += asked - done
        space = ", ".join(f"{name} {_interval(node)}" for name, node in study.plain_space().items())
        words = f"study   {study.label}  {study.name[:8]}  {asked} trials, {done} done; {space};"
        words += f" then seeds {', '.join(str(one.config['seed']) for one in study.seeds)}"
        console.print(Text(words), soft_wrap=True)
    live = [study for study in made.studies if study.skip is None]
    cells = sum(len(study.seeds) for study in live)
    console.print(
        f"{len(live)} studies, {trials} trials to run, then {cells} cells"
        f" and {len(made.references)} reference rows"
    )


def _done(study: Study, settings: Settings) -> int:
    if not (trial_store(settings.store).path / study.name / "journal.log").exists():
        return 0
    return len(Search(study, settings.store).finished())


def _interval(node: dict[str, object]) -> str:
    if "choices" in node:
        return f"of {node['choices']}"
    return f"{node['low']}…{node['high']}" + (" (log)" if node.get("log") else "")
