"""Shared by the commands: adding a parser, and reading overrides without composing a cell."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from quintain.errors import UsageError, nearest

if TYPE_CHECKING:
    from quintain.records.store import Store

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
AddArgument: TypeAlias = Callable[..., argparse.Action]
STORE_HELP = "a folder, a .qb file or a URL (default: results)"


def add_command(
    commands: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    epilog: str = "",
    *,
    takes_store: bool = False,
    writes_records: bool = False,
) -> AddArgument:
    """Add the parser of a command and return its method `add_argument`.

    Args:
        commands: subparsers of the main parser.
        name: name of the command.
        run: function that executes the command and returns its exit code.
        help: a phrase without a full stop.
        epilog: examples, printed below the options.
        takes_store: whether an argument without `=` names the store, as in `quintain records NAME`.
        writes_records: whether the command writes records, which needs a writable remote store.
    """
    parser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(
        run=run, overrides=[], takes_store=takes_store, writes_records=writes_records
    )
    return parser.add_argument


def add_format_option(add: AddArgument, *formats: str) -> None:
    """Add `--format` to a command that prints a table by default."""
    add("--format", choices=("table", *formats), default="table", help="format of the output")


def normalize_overrides(arguments: argparse.Namespace) -> list[str]:
    """Return the overrides with home folders expanded and the store written as `store=…`.

    Raises:
        UsageError: several stores are named.
    """
    overrides = [str(override) for override in arguments.overrides]
    if arguments.takes_store:
        overrides = [
            f"store={text}" if "=" not in text or Path(text).exists() else text
            for text in overrides
        ]
        stores = [text.partition("=")[2] for text in overrides if text.startswith("store=")]
        if len(stores) > 1:
            raise UsageError(
                f"expected one store, got {', '.join(stores)}: `quintain compare A B` compares two"
                " stores, `quintain export STORE --to FILE` and `import FILE` merge them"
            )
    if store := getattr(arguments, "store", None):  # `quintain import --store`
        overrides.append(f"store={store}")
    return [_expand_home(override) for override in overrides]


def _expand_home(override: str) -> str:
    """Expand `~` in a value: shells expand it at the start of a word only.

    Hydra would read a leading `~` as the deletion of a setting.
    """
    key, equals, value = override.partition("=")
    is_path = value.startswith("~") and key in ("store", "data_dir", "plugins_dir")
    if equals and key and (is_path or value == "~" or value.startswith("~/")):
        return f"{key}={Path(value).expanduser()}"
    return override


def open_requested_store(arguments: argparse.Namespace) -> Store:
    """Open the store that the overrides name.

    Raises:
        UsageError: the store does not exist, or an override is not accepted.
    """
    from quintain.compose.store_setting import open_store

    return open_store(parse_store_path(arguments))


def parse_store_path(arguments: argparse.Namespace) -> Path:
    """Return the path of the store or bundle that the overrides name, see `parse_settings`."""
    values = parse_settings(arguments, {"store": "results"}, accept_sweep_settings=True)
    return Path(values["store"]).expanduser()


def parse_settings(
    arguments: argparse.Namespace, defaults: dict[str, str], *, accept_sweep_settings: bool = False
) -> dict[str, str]:
    """Parse the overrides of a command that composes no configuration.

    Args:
        arguments: arguments of the command.
        defaults: accepted keys and their default values.
        accept_sweep_settings: whether settings such as `launch.workers`, which do not change
            results, are accepted and ignored, so that a user can repeat the overrides of a sweep.
            Settings that select cells are refused: the command would seem to show only these cells.

    Raises:
        UsageError: an override is not key=value, or its key is not accepted.
    """
    from quintain.compose.settings import LOCATIONS, PARTS, TABLES
    from quintain.compose.store_setting import read_location

    sweep_keys = [*LOCATIONS, *(f"{table}.{key}" for table, keys in TABLES.items() for key in keys)]
    ignored = sweep_keys if accept_sweep_settings else []
    values, problems = dict(defaults), []
    for override in arguments.overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UsageError(
                f"{override!r} is not a setting; expected key=value, as in store=results"
            )
        selects_cells = key.lstrip("+~").split(".")[0] in (*PARTS, "seed", "measure", "suite")
        if key in defaults:
            values[key] = read_location(value)
        elif accept_sweep_settings and selects_cells:
            problems.append(
                f"{override}: quintain {arguments.command} cannot select cells; it shows all"
                " records of store=FOLDER"
            )
        elif key != "plugins_dir" and key not in ignored:
            accepted = dict.fromkeys([*defaults, *ignored])
            problems.append(
                f"{key}: quintain {arguments.command} has no such setting{nearest(key, accepted)}"
            )
    if problems:
        raise UsageError(problems)
    return values
