"""The commands that run cells: `quintain run`, `quintain sweep` and `quintain tune`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.cli.arguments import AddArgument, Subparsers, add_command
from quintain.cli.output import create_console
from quintain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from quintain.plan.plan import Plan

OVERRIDES_HELP = (
    "settings as key=value, for example model=lstm seed=3; `quintain list` shows the options"
)
RUN_EPILOG = """examples:
  quintain run dataset=digits model=cnn
  quintain run dataset=fashion_mnist model=lstm stem.sequence=pixels seed=2
  quintain run -m dataset=digits,pydoc model='glob(*)'   Hydra's own multirun and launchers
  quintain run model=cnn --cfg job                     show the configuration, run nothing"""
SWEEP_EPILOG = """examples:
  quintain sweep suite=quick
  quintain sweep dataset=digits model='glob(*)' seed=1,2,3
A cell that is in the store is not run again; a failed one is. Ctrl-C keeps finished cells."""
TUNE_EPILOG = """examples:
  quintain tune dataset=digits model=cnn,lstm tune.trials=20 seed=1,2,3
  quintain tune dataset=digits model=cnn optimizer.lr='tag(log, interval(1e-4,1e-2))'
Trials see validation data only. Ctrl-C keeps finished trials; the same command continues."""


def add_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "run", run, "run one cell: one dataset, one model, one seed", RUN_EPILOG,
        writes_records=True,
    )  # fmt: skip
    add("overrides", nargs="*", help=OVERRIDES_HELP)
    add = add_command(
        commands, "sweep", sweep, "run many cells, with the baselines of each dataset",
        SWEEP_EPILOG, writes_records=True,
    )  # fmt: skip
    _add_sweep_options(add)
    add(
        "--probe", action="store_true",
        help="run a few steps of cells that cannot be estimated from earlier runs",
    )  # fmt: skip
    add(
        "--resume", nargs="?", const="", metavar="PLAN",
        help="continue a saved plan, unchanged (default: the latest one of store=…)",
    )  # fmt: skip
    add("--only", choices=["failed"], help="run only the cells that have failed")
    add("--force", action="store_true", help="run finished cells again")
    add = add_command(
        commands, "tune", tune, "search for the best settings of each model and run them",
        TUNE_EPILOG, writes_records=True,
    )  # fmt: skip
    _add_sweep_options(add)


def _add_sweep_options(add: AddArgument) -> None:
    """Add the arguments that `sweep` and `tune` share."""
    add("overrides", nargs="*", help=OVERRIDES_HELP)
    add("--dry-run", action="store_true", help="print what would run, and stop")
    add("--no-baselines", action="store_true", help="leave out the baselines of each dataset")
    add("--leaderboard", action="store_true", help="show the leaderboard at the end")


def separate_resume(arguments: argparse.Namespace) -> None:
    """Move `store=…` to the overrides if argparse took it as the optional value of `--resume`."""
    value = getattr(arguments, "resume", None) or ""
    if "=" in value and not Path(value).exists():
        arguments.overrides, arguments.resume = [value, *arguments.overrides], ""


def run(arguments: argparse.Namespace) -> int:
    from quintain.launch.planning import LaunchServices
    from quintain.launch.run_estimates import add_estimates
    from quintain.launch.sweep import run_plan
    from quintain.plan.plan import make_plan

    console = create_console()
    services = LaunchServices(console)
    plan = make_plan(arguments.overrides, services, baselines=False, max_cells=1)
    add_estimates(plan)
    return run_plan(plan, console).exit_code


def run_with_hydra(arguments: argparse.Namespace) -> int:
    """Pass the command line to Hydra: multirun, `--cfg`, `--info`."""
    from quintain.launch.hydra_multirun import run_hydra

    return run_hydra(arguments.overrides)


def sweep(arguments: argparse.Namespace) -> int:
    """Plan the cells of the overrides, or resume a plan, and run it."""
    from quintain.launch.run_estimates import add_estimates
    from quintain.launch.sweep import dry_run, run_plan

    console = create_console()
    plan = _make_plan(arguments, console)
    add_estimates(plan, probe=arguments.probe)
    if arguments.dry_run:
        dry_run(plan, console)
        return 0
    code = run_plan(plan, console).exit_code
    if arguments.leaderboard:
        _show_leaderboard(plan.settings.store, [planned.cell.key for planned in plan.cells])
    return code


def _make_plan(arguments: argparse.Namespace, console: Console) -> Plan:
    from quintain.compose.store_setting import find_store
    from quintain.launch.planning import LaunchServices
    from quintain.plan.plan import make_plan
    from quintain.plan.plan_file import find_latest_plan
    from quintain.plan.resume import resume_plan, select_cells

    overrides, services = arguments.overrides, LaunchServices(console)
    execution_settings = ("store=", "launch.", "wandb.", "data_dir=", "plugins_dir=")
    selects_cells = any(not override.startswith(execution_settings) for override in overrides)
    if arguments.resume is not None:
        file = Path(arguments.resume or find_latest_plan(find_store(overrides)))
        plan = resume_plan(file, overrides, services)
    elif arguments.only and not selects_cells:
        raise UsageError(
            "--only failed needs a sweep: repeat its overrides, or give --resume for the latest one"
        )
    else:
        plan = make_plan(
            overrides, services, baselines=not arguments.no_baselines, force=arguments.force
        )
    only_failed = arguments.only == "failed"
    select_cells(plan, services, only_failed=only_failed, force=arguments.force)
    return plan


def tune(arguments: argparse.Namespace) -> int:
    """Search for the best settings and run them."""
    from quintain.tuning.tune import run_tuning

    tuning = run_tuning(
        arguments.overrides,
        create_console(),
        dry_run=arguments.dry_run,
        baselines=not arguments.no_baselines,
    )
    if arguments.leaderboard and tuning.keys:
        _show_leaderboard(tuning.store, tuning.keys)
    return tuning.exit_code


def _show_leaderboard(path: Path, keys: Sequence[str]) -> None:
    """Print the leaderboard of these cells, and write the page of the whole store."""
    from quintain.cli.page import write_page
    from quintain.records.store import Store
    from quintain.report.terminal.table import print_leaderboard

    store = Store(path)
    print_leaderboard([record for record in store.all() if record.key in set(keys)])
    print(f"the whole store as a page: {write_page(store)}")
