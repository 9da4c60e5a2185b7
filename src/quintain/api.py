"""The Python API for scripts and notebooks: run cells, read their records and compare them.

    import quintain

    record = quintain.run(dataset="digits", model="cnn")
    sweep = quintain.sweep(dataset="digits", model=["mlp", "cnn"], seed=[1, 2, 3])
    quintain.leaderboard()

A cell is one combination of settings and a seed; its record holds the scores and costs of its run.
As on the command line, each cell runs in a process of its own, unless the store has its result.
Progress is a live grid on a terminal, elsewhere a line for each cell that ends. A run keeps no
weights, so no function loads a trained model.

Settings are keyword arguments: nested settings as a dict, the values of a sweep as a list, and a
single value that is itself a list as a tuple. Settings of an option that is named by a string need
dotted names or Hydra's syntax, such as `overrides=["dataset.path=my.csv"]`:

    quintain.sweep("digits", ["mlp", "cnn"], optimizer={"lr": [0.001, 0.01], "betas": (0.9, 0.95)})
    quintain.run("csv_series", "lstm", budget={"steps": 300}, **{"dataset.path": "my.csv"})
"""

from __future__ import annotations

import html
import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from quintain.compose.store_setting import open_store
from quintain.compose.words import format_hydra_value
from quintain.errors import StoreError, UsageError
from quintain.records.schema import Record
from quintain.records.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

    from quintain.launch.events import SweepOutcome
    from quintain.plan.plan import Plan
    from quintain.report.compare.compare import ComparedPair
    from quintain.report.rows import Row

StorePath = str | PathLike[str]


def run(
    dataset: str,
    model: str,
    *,
    store: StorePath = "results",
    overrides: Sequence[str] = (),
    progress: bool = True,
    **settings: Any,
) -> Record:
    """Run one cell, unless its result is in the store, and return its record.

    Example:
        >>> budget = {"steps": 50}
        >>> record = quintain.run("digits", "mlp", budget=budget, store=store, progress=False)
        >>> record.status, record.quality.main
        ('ok', 'accuracy')

    Args:
        dataset, model: names that `quintain list` shows.
        store: the folder of the records.
        overrides: more settings in Hydra's syntax.
        progress: print the progress and a summary.
        settings: more settings; see the module's docstring.

    Returns:
        The record. Its `status` is "ok", "failed" (with `error`) or "skipped" (with `reason`).

    Raises:
        UsageError: settings are invalid (the message lists all problems) or select several cells.
        StoreError: the store cannot be written.
        KeyboardInterrupt: the run was interrupted.
    """
    settings = {"dataset": dataset, "model": model} | settings
    plan, _ = _run_cells(
        _to_overrides(settings, store, overrides), progress, baselines=False, max_cells=1
    )
    cell = plan.cells[0].cell
    record = Store(plan.settings.store).read(cell.key)
    if record is None:
        raise StoreError(f"{cell.label} has no record in {plan.settings.store}; see the output")
    return record


def sweep(
    dataset: str | Sequence[str] | None = None,
    model: str | Sequence[str] | None = None,
    *,
    suite: str | None = None,
    baselines: bool = True,
    store: StorePath = "results",
    overrides: Sequence[str] = (),
    progress: bool = True,
    **settings: Any,
) -> SweepResult:
    """Run every combination of settings that the store lacks, and return the records of all.

    Example:
        >>> settings = {"seed": [1, 2], "budget": {"steps": 50}, "store": store, "progress": False}
        >>> result = quintain.sweep("digits", ["mlp", "rnn"], **settings)
        >>> result, result.failed  # two models with two seeds, and the baselines of the dataset
        (6 records: 6 ok, [])

    Args:
        dataset, model: one name or several of `quintain list`; None where the suite has them.
        suite: a name of `quintain list suite`: a predefined set of datasets, models and settings.
        baselines: also run the simple baselines of each dataset.
        store, overrides, progress, settings: as for `run`; overrides may be "model=glob(*)".

    Raises:
        UsageError: settings are invalid; the message lists all problems.
        StoreError: the store cannot be written.
        KeyboardInterrupt: the sweep was interrupted; finished cells are in the store.
    """
    options = {"suite": suite, "dataset": dataset, "model": model}
    settings = {name: value for name, value in options.items() if value is not None} | settings
    plan, outcome = _run_cells(
        _to_overrides(settings, store, overrides), progress, baselines=baselines
    )
    results = Store(plan.settings.store)
    records = [record for planned in plan.cells if (record := results.read(planned.cell.key))]
    return SweepResult(records=records, text=_summarize(records, outcome))


def leaderboard(store: StorePath = "results") -> LeaderboardResult:
    """Rank the results of a store or bundle, as `quintain leaderboard` does.

    Example:
        >>> board = quintain.leaderboard(store)
        >>> board.rows[0].dataset, board.to_frame()["model"].nunique()
        ('digits', 4)

    Raises:
        StoreError: there is no store, or the bundle cannot be read.
    """
    from quintain.report.current_records import load_current_records

    current = load_current_records(open_store(_local_path(store)))
    return _rank(current.records, current.num_superseded)


def compare(a: StorePath, b: StorePath, store: StorePath = "results") -> ComparisonResult:
    """Compare `a` with `b` on each dataset, paired by seed, as `quintain compare` does.

    Example:
        >>> comparison = quintain.compare("mlp", "rnn", store)
        >>> comparison.pairs[0].metric, comparison.pairs[0].n
        ('accuracy', 2)

    Args:
        a, b: two models, hardware options, Quintain versions or code hashes of the store; or two
            stores or bundles.
        store: the folder of the records, or a bundle; not used if `a` and `b` are stores.

    Raises:
        UsageError: `a` and `b` are the same.
        StoreError: there is no store, or `a` and `b` are not of one kind; the message lists what
            there is.
    """
    from quintain.report.compare.view import print_comparison

    sides = fspath(a), fspath(b)
    if sides[0] == sides[1]:
        raise UsageError(f"compare needs two different sides, got {sides[0]!r} twice")
    console = _text_console()
    comparison = print_comparison(sides, lambda: open_store(_local_path(store)), "table", console)
    return ComparisonResult(pairs=comparison.pairs, text=_read_text(console))


def load(store: StorePath = "results") -> DataFrame:
    """Return the records of a store or bundle as a pandas DataFrame, one row per record.

    Nested values have dotted names such as `names.model`; `metric`, `val` and `test` hold the main
    score. docs/analysis.md describes the columns.

    Example:
        >>> sorted(quintain.load(store)["names.model"].unique())
        ['linear', 'majority', 'mlp', 'rnn']

    Raises:
        StoreError: there is no store, or the bundle cannot be read.
    """
    from quintain.records.bundles.bundle import is_bundle, open_bundle
    from quintain.records.frame import records_frame

    path = Path(store)
    return records_frame(open_bundle(path) if path.exists() and is_bundle(path) else Store(path))


@dataclass(frozen=True, repr=False, kw_only=True)
class _Result:
    """A result that is displayed as `text`: plain when printed, as HTML in a notebook."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


@dataclass(frozen=True, repr=False, kw_only=True)
class SweepResult(_Result):
    """The records of all cells of a sweep, in the order of the plan."""

    records: list[Record]

    @property
    def failed(self) -> list[Record]:
        return [record for record in self.records if record.status == "failed"]

    def leaderboard(self) -> LeaderboardResult:
        """Rank the results of this sweep alone."""
        return _rank(self.records)

    def to_frame(self) -> DataFrame:
        """Return the records as a DataFrame with the columns of `load`."""
        from quintain.records.frame import flatten_records

        return _to_frame(flatten_records(self.records))


@dataclass(frozen=True, repr=False, kw_only=True)
class LeaderboardResult(_Result):
    """The rows of all tables of a leaderboard, the best of each table first."""

    rows: list[Row]

    def to_frame(self) -> DataFrame:
        return _to_frame([vars(row) for row in self.rows])


@dataclass(frozen=True, repr=False, kw_only=True)
class ComparisonResult(_Result):
    """For each dataset both scores, and the gain of `a` with interval, p value and effect size."""

    pairs: list[ComparedPair]

    def to_frame(self) -> DataFrame:
        return _to_frame([vars(pair) for pair in self.pairs])


def _to_frame(rows: list[dict[str, Any]]) -> DataFrame:
    import pandas

    return pandas.DataFrame(rows)


def _rank(records: Sequence[Record], num_superseded: int = 0) -> LeaderboardResult:
    from quintain.report.terminal.table import print_leaderboard

    console = _text_console()
    board = print_leaderboard(records, console, num_superseded=num_superseded)
    return LeaderboardResult(rows=board.rows, text=_read_text(console))


def _summarize(records: Sequence[Record], outcome: SweepOutcome) -> str:
    statuses = Counter(record.status for record in records)
    counts = [f"{count} {status}" for status, count in statuses.items()]
    failures = [f"failed: {label}: {text}" for label, text in outcome.failures.values()]
    return "\n".join([f"{len(records)} records: {', '.join(counts)}", *failures])


def _text_console() -> Console:
    # Jupyter sets FORCE_COLOR, which would put escape codes into the text.
    return Console(
        file=io.StringIO(), width=10_000, highlight=False, force_jupyter=False, force_terminal=False
    )


def _read_text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().rstrip().splitlines())


def _run_cells(
    overrides: Sequence[str], progress: bool, *, baselines: bool, max_cells: int | None = None
) -> tuple[Plan, SweepOutcome]:
    """Plan and run the cells that the overrides select, like `quintain sweep`."""
    from quintain.launch.planning import LaunchServices
    from quintain.launch.run_estimates import add_estimates
    from quintain.launch.sweep import run_plan
    from quintain.plan.plan import make_plan

    # In a notebook rich would display each printed line as an output of its own, and take
    # Jupyter's FORCE_COLOR as a sign of a terminal.
    console = Console(
        quiet=not progress, highlight=False, force_jupyter=False,
        force_terminal=sys.stdout.isatty(),
    )  # fmt: skip
    services = LaunchServices(console)
    plan = make_plan(
        overrides, services, baselines=baselines, max_cells=max_cells, hint="use quintain.sweep"
    )
    add_estimates(plan, probe=False)
    outcome = run_plan(plan, console)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return plan, outcome


def _to_overrides(
    settings: Mapping[str, Any], store: StorePath, overrides: Sequence[str]
) -> list[str]:
    """Return settings, store and overrides in Hydra's syntax, and register plugin folders."""
    from quintain.compose.plugin_providers import add_plugin_folders

    if isinstance(overrides, str):
        raise UsageError(f"overrides must be a list of strings, got the string {overrides!r}")
    store_override = f"store={format_hydra_value(str(_local_path(store)))}"
    all_overrides = [*_flatten_settings(settings), store_override, *overrides]
    add_plugin_folders(all_overrides)
    return all_overrides


def _flatten_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flatten_settings(value, f"{key}.")
            continue
        values = list(value) if isinstance(value, list | range) else [value]
        if not values:
            raise UsageError(f"{key}: expected at least one value, got an empty list")
        values = [str(item) if isinstance(item, Path) else item for item in values]
        yield f"{key}={','.join(map(format_hydra_value, values))}"


def _local_path(store: StorePath) -> Path:
    if "://" in fspath(store):
        raise UsageError(
            f"the Python API needs a store on this machine, got {fspath(store)}; the commands can"
            " use a URL, and `quintain export` and `quintain import` copy records"
        )
    return Path(store).expanduser()
