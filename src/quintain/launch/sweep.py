"""Execute a plan: run its missing cells, record skipped ones, mirror to W&B, print a summary."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from quintain.compose.settings import Settings
from quintain.errors import StoreError, UsageError, printable
from quintain.launch.events import Executor, SweepOutcome
from quintain.launch.limits import read_limits
from quintain.launch.local import LocalPool
from quintain.launch.progress import create_view
from quintain.launch.resources import count_workers
from quintain.launch.signals import collect_stop_signals
from quintain.plan.estimate import format_hours
from quintain.plan.plan import Plan, PlannedCell
from quintain.plan.plan_file import DRY_RUN_FOLDER
from quintain.records.filesystem import replace_text, translate_os_errors
from quintain.records.redact import redact
from quintain.records.store import Store
from quintain.run.environment import list_ignored_variables
from quintain.run.record.identity import build_skipped_record


def run_plan(plan: Plan, console: Console) -> SweepOutcome:
    """Run the cells of a plan where its settings say; print the progress and a summary.

    Raises:
        StoreError: the store cannot be written; nothing was run.
        UsageError: the executor cannot run anything, or W&B does not accept the name of the
            project; nothing was run.
    """
    check_destination(plan.settings)
    store, outcome = Store(plan.settings.store), SweepOutcome()
    if all(planned.action in ("cached", "excluded") for planned in plan.cells):
        with contextlib.suppress(StoreError):  # nothing to run: the store may be read-only
            write_plan(plan)
    else:
        _run_cells(plan, store, outcome, console)
    if outcome.endings:
        _mirror_records(plan, store, console)
    print_summary(plan, outcome, console)
    _print_data_notes(plan, store, console)
    return outcome


def _run_cells(plan: Plan, store: Store, outcome: SweepOutcome, console: Console) -> None:
    store.check_writable()
    write_plan(plan)
    _print_notes(plan, console)
    for planned in plan.cells:
        if planned.action == "skipped":
            store.write(build_skipped_record(planned.cell, planned.reason))
    cells = plan.to_run()
    workers = count_workers(plan.settings, len(cells))
    executor = create_executor(plan.settings, store, workers, force=plan.force)
    visible = [planned for planned in plan.cells if planned.action != "excluded"]
    with (
        collect_stop_signals() as signals,
        create_view(console, visible, workers) as view,
        contextlib.closing(executor.run(cells, lambda: len(signals))) as events,
    ):
        for event in events:
            outcome.add(event)
            view.show(event)
    outcome.interrupted = bool(signals)


def create_executor(
    settings: Settings, store: Store, workers: int, *, force: bool = False
) -> Executor:
    """Create the executor that `launch.executor` names; `workers` cells run at once.

    Raises:
        UsageError: `force` or a limit that only this machine can enforce is set for a cluster.
    """
    if settings.executor == "local":
        return LocalPool(store, workers=workers, limits=read_limits(settings), force=force)
    if force:
        raise UsageError(
            f"--force does not work with launch.executor={settings.executor}, whose jobs skip cells"
            " that are in the store; choose launch.executor=local, or another store"
        )
    if settings.memory_limit or settings.hang_limit:
        raise UsageError(
            "launch.memory_limit and launch.hang_limit work with launch.executor=local only;"
            " on a cluster set launch.slurm.memory and launch.time_limit"
        )
    # The library of a cluster, which is optional, is imported only if it is used.
    if settings.executor == "slurm":
        from quintain.launch.cluster.slurm import SlurmCluster

        return SlurmCluster(store, settings, workers)
    from quintain.launch.cluster.ray import RayCluster

    return RayCluster(store, settings, workers)


def dry_run(plan: Plan, console: Console) -> None:
    """Print a line for each cell with what the plan would do, and the estimates; write the plan."""
    check_destination(plan.settings)
    _print_notes(plan, console)
    # A single call, because a call for each of ten thousand cells takes seconds.
    lines = [printable(_describe_planned_cell(planned, plan)) for planned in plan.cells]
    console.out("\n".join(lines), highlight=False)
    actions = [planned.action for planned in plan.cells]
    console.print(
        f"{len(actions)} cells: {actions.count('run')} to run,"
        f" {actions.count('cached')} cached, {actions.count('skipped')} skipped"
    )
    if plan.totals is not None and plan.totals.cells:
        console.print(Text(plan.totals.describe()), soft_wrap=True)
    file = plan.path.parent / DRY_RUN_FOLDER / plan.path.name
    try:
        line = f"plan: {write_plan(plan, file)}"
    except StoreError as error:
        line = f"the plan could not be written: {error}"
    console.print(Text(line), soft_wrap=True)


def write_plan(plan: Plan, file: Path | None = None) -> Path:
    """Write the plan as a file of the store; the same overrides write the same file.

    Raises:
        StoreError: the store cannot be written.
    """
    file = file or plan.path
    with translate_os_errors(plan.settings.store):
        replace_text(file, json.dumps(redact(json.loads(plan.to_json())), indent=1))
    return file


def _print_notes(plan: Plan, console: Console) -> None:
    """Print the notes of the datasets about user files, and the variables that runs do not see."""
    ignored = list_ignored_variables()
    names = ", ".join(ignored)
    notes = [f"environment: runs do not see {names}, which would change their results"]
    for note in [*plan.notes, *(notes if ignored else [])]:
        console.print(Text(note, style="dim"), soft_wrap=True)


def _print_data_notes(plan: Plan, store: Store, console: Console) -> None:
    """Print the notes on each dataset that were made in its runs, when all its data were known."""
    printed, read = set(plan.notes), set[str]()
    for planned in plan.cells:
        dataset = planned.cell.names["dataset"]
        identity = json.dumps([planned.cell.config["dataset"], planned.cell.config.get("budget")])
        record = None if identity in read else store.read(planned.cell.key)
        if record is None or record.data is None:
            continue
        read.add(identity)
        for note in (f"{dataset}: {note}" for note in record.data.notes):
            if note not in printed:
                printed.add(note)
                console.print(Text(note, style="dim"), soft_wrap=True)


def _describe_planned_cell(planned: PlannedCell, plan: Plan) -> str:
    line = f"{planned.action:<8} {planned.cell.label}  {planned.cell.key[:8]}"
    if planned.params:
        line += f"  {planned.params:,} parameters"
    estimate = plan.estimates.get(planned.cell.group) if planned.action == "run" else None
    if estimate:
        line += f"  about {format_hours(estimate.seconds / 3600)} ({estimate.basis})"
    return line + (f"  {planned.reason}" if planned.reason else "")


def print_summary(plan: Plan, outcome: SweepOutcome, console: Console) -> None:
    """Print how many cells ran, why others were skipped, and each failure once."""
    console.print(Text(_count_endings(plan, outcome)), soft_wrap=True)
    for planned in plan.cells:
        if planned.action == "skipped":
            line = f"skipped: {planned.cell.label}: {planned.reason}"
            console.print(Text(line, style="dim"), soft_wrap=True)
    labels_by_message: dict[str, list[str]] = {}  # many failed cells have the same message
    for label, message in outcome.failures.values():
        first_line = next(iter(message.strip().splitlines()), "")
        labels_by_message.setdefault(first_line, []).append(label)
    for message, labels in labels_by_message.items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        console.print(Text(f"failed: {labels[0]}{more}: {message}", style="red"), soft_wrap=True)
    if outcome.failures:
        key, (label, _) = next(iter(outcome.failures.items()))
        log = plan.settings.store / "logs" / f"{key}.log"
        if log.is_file() and log.stat().st_size:
            console.print(Text(f"log of {label}: {log}", style="dim"), soft_wrap=True)
    if outcome.interrupted:
        console.print(
            Text("interrupted; finished cells are in the store; the same command runs the rest"),
            soft_wrap=True,
        )


def _count_endings(plan: Plan, outcome: SweepOutcome) -> str:
    actions = [planned.action for planned in plan.cells]
    endings = list(outcome.endings.values())
    cached, detached = endings.count("cached"), endings.count("detached")
    line = (
        f"{len(actions)} {'cell' if len(actions) == 1 else 'cells'}:"
        f" {len(endings) - cached - detached} ran,"
        f" {actions.count('cached') + cached} were in the store"
    )
    for count, ending in (
        (actions.count("skipped"), "skipped"),
        (actions.count("excluded"), "left out"),
        (len(outcome.failures), "failed"),
        (detached, "submitted to the cluster: run the same command again to watch them"),
    ):
        line += f", {count} {ending}" if count else ""
    return line


def check_destination(settings: Settings) -> None:
    """Raise a UsageError if W&B does not accept the project or entity of the settings."""
    if settings.wandb["mode"] != "disabled":
        from quintain.wandb_mirror.client import resolve_destination

        resolve_destination(settings.wandb.get("project"), settings.wandb.get("entity"))


def _mirror_records(plan: Plan, store: Store, console: Console) -> None:
    """Mirror all records of the plan to Weights & Biases; an error there is only printed.

    This includes records that an earlier, killed sweep did not mirror; no record is sent twice.
    """
    if plan.settings.wandb["mode"] == "disabled":
        return
    from quintain.wandb_mirror.mirror import mirror_records

    records = [r for planned in plan.cells if (r := store.read(planned.cell.key)) is not None]
    result = mirror_records(records, store, **plan.settings.wandb)
    if result.mode == "disabled":
        return
    runs = "1 run" if result.written == 1 else f"{result.written} runs"
    line = f"W&B ({result.mode}): {runs} mirrored to {store.path / 'wandb'}"
    line += f", {result.failed} failed" if result.failed else ""
    for text in (line, *result.notes):
        console.print(Text(text, style="dim"), soft_wrap=True)
