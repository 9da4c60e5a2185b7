"""The commands that show a store: `quintain leaderboard`, `records`, `status` and `compare`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from quintain.cli.arguments import (
    STORE_HELP,
    Subparsers,
    add_command,
    add_format_option,
    open_requested_store,
    parse_store_path,
)
from quintain.cli.output import create_console, write_output_file
from quintain.errors import UsageError

LEADERBOARD_FORMATS = ("table", "md", "latex", "csv", "json", "html")


def add_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "leaderboard", run_leaderboard, "rank the results of a store", takes_store=True
    )
    add("overrides", nargs="*", metavar="STORE", help=STORE_HELP)
    add(
        "--format", choices=LEADERBOARD_FORMATS,
        help="output format (default: by the suffix of --output, else table)",
    )  # fmt: skip
    add("--output", type=Path, metavar="FILE", help="write to a file")
    add("--open", action="store_true", help="open the HTML page in a browser")
    add("--watch", action="store_true", help="rebuild the HTML page when records are written")
    add = add_command(
        commands, "records", run_records, "list the records of a store", takes_store=True
    )
    add("overrides", nargs="*", metavar="STORE", help=STORE_HELP)
    add_format_option(add, "json")
    add = add_command(
        commands, "status", run_status, "show the progress of a sweep, also from another terminal"
    )
    add(
        "overrides", nargs="*", metavar="PLAN",
        help="a plan file, or a store whose latest plan is shown (default: results)",
    )  # fmt: skip
    add_format_option(add, "json")
    add("--watch", action="store_true", help="refresh it every two seconds")
    add = add_command(
        commands, "compare", run_compare, "compare two models, machines or stores, seed by seed",
        takes_store=True,
    )  # fmt: skip
    add(
        "sides", nargs=2, metavar="side",
        help="two models, hardware options, versions or codes of a store; or two stores",
    )  # fmt: skip
    add("overrides", nargs="*", metavar="STORE", help=STORE_HELP)
    add_format_option(add, "md", "json")


def run_leaderboard(arguments: argparse.Namespace) -> int:
    """Print the leaderboard, write it to a file, or show the page."""
    from quintain.compose.store_setting import open_store
    from quintain.report.current_records import load_current_records
    from quintain.report.formats.render import choose_format, render_leaderboard
    from quintain.report.terminal.table import print_leaderboard

    shows_page = arguments.open or arguments.watch
    if shows_page and arguments.format not in (None, "html"):
        raise UsageError(f"--open and --watch show the HTML page, not --format {arguments.format}")
    path, output = parse_store_path(arguments), arguments.output
    store = open_store(path)
    if shows_page:
        from quintain.cli.page import PAGE, show_page

        if output is None:
            # A bundle is opened in a temporary folder, so its page is written beside the bundle.
            output = path.with_suffix(".html") if path.is_file() else store.path / PAGE
        show_page(store, output, in_browser=arguments.open, watch=arguments.watch)
        return 0
    format = choose_format(arguments.format, output)
    if output is not None:
        write_output_file(output, render_leaderboard(store, format))
        print(output)
    elif format == "table":
        current = load_current_records(store)
        print_leaderboard(current.records, num_superseded=current.num_superseded)
    else:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stdout.write(render_leaderboard(store, format))
    return 0


def run_records(arguments: argparse.Namespace) -> int:
    from quintain.records.bundles.origins import read_origins
    from quintain.report.terminal.records_list import print_records, records_json

    store = open_requested_store(arguments)
    if arguments.format == "json":
        bundles = {key: origin.bundle for key, origin in read_origins(store).items()}
        print(json.dumps(records_json(store.all(), bundles), indent=1, allow_nan=False))
    else:
        print_records(store.all())
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    from quintain.launch.status import read_status, render_status, watch_status
    from quintain.plan.plan_file import find_latest_plan

    plan_file = _extract_plan_file(arguments)
    store = open_requested_store(arguments)
    file = plan_file or find_latest_plan(store.path)
    if arguments.watch:
        watch_status(file, store, create_console())
    elif arguments.format == "json":
        print(json.dumps(asdict(read_status(file, store)), indent=1))
    else:
        create_console().print(render_status(read_status(file, store)), soft_wrap=True)
    return 0


def _extract_plan_file(arguments: argparse.Namespace) -> Path | None:
    """Remove the plan file from the overrides and return it, None if there is none.

    A folder becomes `store=FOLDER`; without a store, a plan file in `STORE/plans` names it.
    """
    from quintain.plan.plan_file import find_store_of_plan

    words = [f"store={word}" if Path(word).is_dir() else word for word in arguments.overrides]
    plans = [word for word in words if "=" not in word or Path(word).is_file()]
    arguments.overrides = [word for word in words if word not in plans]
    if not plans:
        return None
    if not arguments.overrides and (folder := find_store_of_plan(Path(plans[0]))):
        arguments.overrides = [f"store={folder}"]
    return Path(plans[0])


def run_compare(arguments: argparse.Namespace) -> int:
    from quintain.report.compare.view import print_comparison

    first, second = arguments.sides
    if stores := [side for side in (first, second) if side.startswith("store=")]:
        raise UsageError(
            f"{stores[0]} is no side of a comparison: expected two names and then settings, as in:"
            " quintain compare lstm gru store=results"
        )
    if first == second:
        raise UsageError(f"compare takes two different sides, got {first} twice")
    print_comparison(arguments.sides, lambda: open_requested_store(arguments), arguments.format)
    return 0
