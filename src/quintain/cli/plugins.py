"""The commands `quintain list`, `quintain new` and `quintain check`."""

from __future__ import annotations

import argparse
from pathlib import Path

from quintain.cli.arguments import Subparsers, add_command, add_format_option
from quintain.cli.output import create_console


def add_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "list", run_list, "list datasets, models, hardware and the other options"
    )
    add("overrides", nargs="*", metavar="group", help="list only these groups")
    add_format_option(add, "json")
    add = add_command(
        commands, "new", run_new, "write a working plugin to start from: a Python file and a YAML"
    )
    add("kind", choices=("dataset", "model", "hardware"), help="kind of plugin")
    add("name", help="name of the option: a Python identifier in lower case")
    add(
        "--into", type=Path, metavar="FOLDER",
        help="plugin folder (default: plugins_dir, or ./quintain_plugins)",
    )  # fmt: skip
    add = add_command(
        commands, "check", run_check, "run the contract tests on plugins: model=NAME, dataset=NAME"
    )
    add("overrides", nargs="+", help="plugins to check, and other settings")


def run_list(arguments: argparse.Namespace) -> int:
    from quintain.cli.option_list import print_options

    print_options(arguments.overrides, arguments.format, create_console())
    return 0


def run_new(arguments: argparse.Namespace) -> int:
    from quintain.cli.scaffold import write_plugin

    write_plugin(arguments.kind, arguments.name, arguments.into, create_console())
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    from quintain.cli.plugin_checks import check_plugins

    return check_plugins(arguments.overrides, create_console())
