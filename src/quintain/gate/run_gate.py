"""The gate: a check for CI that candidate results are no worse than baseline results.

Quality is compared between two stores, speed between two stores or between two versions of the code
that train side by side. `quintain.cli.gate` parses the command line into a `GateRequest`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from quintain.compose.store_setting import find_store, open_store
from quintain.errors import UsageError, nearest
from quintain.gate.cell_decisions import KindResult
from quintain.gate.cell_overrides import (
    cell_overrides,
    expand_cells_file,
    select_cells,
    without_seed,
)
from quintain.gate.code_versions import Version, open_version
from quintain.gate.gate_result import (
    GateResult,
    compare_records,
    near_regression_notes,
    shorten,
)
from quintain.gate.interleaved_timing import InterleavedTimer
from quintain.gate.matching import is_comparable
from quintain.gate.quality import Margins
from quintain.gate.sequential_timing import MAX_ROUNDS, time_until_decided
from quintain.records.schema import Record


@dataclass(frozen=True, kw_only=True)
class GateRequest:
    """What to compare: stores, versions of the code, or both."""

    overrides: Sequence[str] = ()  # cells to run or to time, in Hydra's syntax, and `store=…`
    baseline: Path | None = None  # a store of good results
    candidate: Path | None = None  # a store of results to judge; None: run the cells now
    baseline_code: str | None = None  # a folder or commit to time against `candidate_code`
    candidate_code: str | None = None  # a folder or commit; None: the current code
    cells_file: Path | None = None  # a `--regressed` file, to compare its cells only
    margins: Margins = field(default_factory=dict)
    max_slowdown: float | None = None  # 0.2: up to 20 % more time is acceptable; None: quality only
    max_rounds: int = MAX_ROUNDS  # of side by side timing in one cell


def run_gate(request: GateRequest) -> GateResult:
    """Compare, and return the result.

    Raises:
        UsageError: the comparison is not possible; the message says why.
        StoreError: a store cannot be read.
    """
    from quintain.launch.signals import sigterm_as_ctrl_c

    results: list[GateResult] = []
    with sigterm_as_ctrl_c():
        if request.baseline is not None:
            results.append(_compare_stores(request, request.baseline))
        if request.baseline_code is not None and request.max_slowdown is not None:
            results.append(_time_side_by_side(request, request.baseline_code, request.max_slowdown))
    return GateResult(
        kinds=[kind for result in results for kind in result.kinds],
        missing=[label for result in results for label in result.missing],
        notes=[note for result in results for note in result.notes],
    )


def _compare_stores(request: GateRequest, baseline: Path) -> GateResult:
    """Compare two sets of records; only in quality if speed is timed side by side."""
    if request.candidate is None and not _runs_cells(request):
        request = replace(request, candidate=find_store(request.overrides), overrides=())
        candidate_notes = [f"the candidate is the store {request.candidate} as it is; no cell was"
                           " run: give --suite ci or settings to run cells"]  # fmt: skip
    else:
        candidate_notes = []
    all_before, baseline_notes = _load_records(baseline, "baseline")
    _check_margins(request.margins, all_before)
    before = select_cells(all_before, request.cells_file)
    after, problems = _load_candidate(request)
    result = compare_records(
        before,
        after,
        margins=request.margins,
        max_slowdown=None if request.baseline_code else request.max_slowdown,
        every_seed=request.candidate is not None,  # else the user chose the seeds to run
    )
    if not any(kind.cells for kind in result.kinds):
        raise UsageError(
            "the baseline shares no cell with the candidate; the baseline has "
            f"{_describe_cells(before)}; the candidate has {_describe_cells(after)}"
        )
    return replace(result, notes=[*candidate_notes, *baseline_notes, *problems, *result.notes])


def _runs_cells(request: GateRequest) -> bool:
    """Return whether the request names cells, and not only a store."""
    settings = [word for word in request.overrides if not word.startswith("store=")]
    return bool(settings) or request.cells_file is not None


def _load_records(path: Path, option: str) -> tuple[list[Record], list[str]]:
    """Return the records of a store or bundle, and notes on files that could not be read.

    Raises:
        UsageError: there is no store, or nothing in it can be compared; it names `--{option}`.
    """
    path = path.expanduser()
    if not path.exists():
        advice = ", or give --suite ci to run cells now" if option == "candidate" else ""
        raise UsageError(f"there is no store at {path}: --{option} expects a folder that "
                         f"`quintain sweep store=…` has written, or a bundle{advice}")  # fmt: skip
    store = open_store(path)
    records = store.all()
    if not any(is_comparable(record) for record in records):
        content = "no record"
        if records:
            content = f"{len(records)} records, all of baseline models or trials of a search"
        raise UsageError([f"the {option} {path} has nothing to compare: it contains {content}",
                          *store.problems])  # fmt: skip
    return records, list(store.problems)


def _describe_cells(records: Sequence[Record]) -> str:
    cells = sorted({" ".join(cell_overrides(r)) for r in records if is_comparable(r)})
    return shorten(cells, 4, "; ")


def _check_margins(margins: Margins, records: Sequence[Record]) -> None:
    """Raise UsageError for each margin whose score is not a main score of the baseline."""
    main_scores = sorted({record.quality.main for record in records if record.quality})
    problems = [
        f"--margin {name}: no main score of the baseline{nearest(name, main_scores)}"
        for name in margins
        if name not in main_scores
    ]
    if main_scores and problems:
        raise UsageError(problems)


def _load_candidate(request: GateRequest) -> tuple[list[Record], list[str]]:
    """Read the candidate's store, or run its cells with the current code."""
    if request.candidate is not None:
        # With side by side timing the overrides select the cells to time.
        if request.overrides and request.baseline_code is None:
            raise UsageError(
                "--candidate compares results that exist: leave out --suite and settings"
            )
        return _load_records(request.candidate, "candidate")
    commands = _sweeps(request, "the candidate is missing: give --candidate STORE, or --suite ci")
    return [record for overrides in commands for record in _run_sweep(overrides)], []


def _sweeps(request: GateRequest, problem: str) -> list[list[str]]:
    """Return the overrides of each sweep of the request.

    Raises:
        UsageError: there are none; the message is `problem`.
    """
    if not request.overrides and not request.cells_file:
        raise UsageError(problem)
    return expand_cells_file(request.overrides, request.cells_file)


def _run_sweep(overrides: Sequence[str]) -> list[Record]:
    """Run the cells of these overrides that the store lacks, and return the records of all.

    Raises:
        UsageError: the overrides do not compose.
        KeyboardInterrupt: the sweep was interrupted.
    """
    from quintain.launch.planning import LaunchServices
    from quintain.launch.sweep import run_plan
    from quintain.plan.plan import make_plan
    from quintain.records.store import Store
    from quintain.report.terminal.console import make_console

    plan = make_plan(overrides, LaunchServices(), baselines=False)
    if run_plan(plan, make_console()).interrupted:
        raise KeyboardInterrupt
    store = Store(plan.settings.store)
    return [record for planned in plan.cells if (record := store.read(planned.cell.key))]


def _time_side_by_side(request: GateRequest, baseline_code: str, max_slowdown: float) -> GateResult:
    """Time each cell with both versions of the code, once for all its seeds."""
    cells = _cells_to_time(request)
    decisions = []
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(open_version(baseline_code))
        after = (
            stack.enter_context(open_version(request.candidate_code))
            if request.candidate_code
            else Version("this code", Path.cwd())
        )
        timer = stack.enter_context(InterleavedTimer(before, after))
        for overrides in cells:
            with timer.time_cell(overrides) as (label, rounds):
                decisions.append(
                    time_until_decided(
                        label.rpartition("/")[0], overrides, rounds, cells=len(cells),
                        max_slowdown=max_slowdown, max_rounds=request.max_rounds,
                    )
                )  # fmt: skip
    speed = KindResult("speed", cells=decisions, aggregates=[], unit="rounds")
    return GateResult(kinds=[speed], missing=[], notes=list(near_regression_notes([speed])))


def _cells_to_time(request: GateRequest) -> list[tuple[str, ...]]:
    """Return the overrides of each cell without its seed."""
    from quintain.compose.config import hydra_session
    from quintain.compose.overrides import expand_overrides

    commands = _sweeps(request, "no cells to time: give --suite ci, or settings such as model=cnn")
    with hydra_session():
        jobs = [job for overrides in commands for job in expand_overrides(overrides)]
    return list(dict.fromkeys(tuple(without_seed(job)) for job in jobs))
