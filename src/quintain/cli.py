"""The command line: words in, exit codes out. Imports what a command needs when it is asked for.

Exit codes: 0 all well, 1 a cell or a check failed, 2 it cannot be done as asked, 3 a gate is
inconclusive, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import quintain
from quintain import bisection, gate
from quintain.commands.share import add_sharing
from quintain.commands.words import (
    existing_store,
    named_store,
    plain_settings,
    store_at,
    with_store_named,
)

if TYPE_CHECKING:
    from rich.console import Console

USAGE = 2
SETTINGS = "settings as key=value, for example model=lstm seed=3; `quintain list` shows the options"
MAKES_RECORDS = ("run", "sweep", "tune", "gate", "import", "doctor")  # doctor asks whether it could
HYDRA_FLAGS = ("-m", "--multirun", "-c", "--cfg", "-i", "--info", "--hydra-help", "-p", "--package")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments, rest = _parser().parse_known_args(words)
    if arguments.command == "run" and any(w.split("=")[0] in HYDRA_FLAGS for w in rest):
        arguments.settings, rest = words[1:], []
        arguments.run = _hydra
    if unknown := [word for word in rest if word.startswith("-")]:
        _error(f"unknown option {unknown[0]}; see quintain {arguments.command} --help")
        return USAGE
    if rest:
        arguments.settings = [*arguments.settings, *rest]
    named = getattr(arguments, "resume", None) or ""
    if "=" in named and not Path(named).exists():  # argparse gives it the next word, whatever it is
        arguments.settings, arguments.resume = [named, *arguments.settings], ""
    return _guarded(arguments)


def _guarded(arguments: argparse.Namespace) -> int:
    """What a user can mend is one sentence and exit code 2, never a traceback."""
    from quintain.compose.errors import UsageError
    from quintain.records.faults import StoreError

    try:
        arguments.settings = [_at_home(word) for word in with_store_named(arguments)]
        _use_plugin_folders(arguments)
        code = _on_its_store(arguments)
    except UsageError as error:
        for problem in error.problems:
            _error(problem)
        return USAGE
    except StoreError as error:
        _error(str(error))
        return USAGE
    except KeyboardInterrupt:
        _error("interrupted; the same command starts again, or goes on where it stopped")
        return 130
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        sys.stderr.close()
        return 0
    return code


def _on_its_store(arguments: argparse.Namespace) -> int:
    """Run the command; where `store=` is a URL, on its working store, which is kept in step."""
    if not any("://" in setting for setting in arguments.settings):
        return int(arguments.run(arguments))
    from quintain.records.courier import mirrored

    writes = arguments.command in MAKES_RECORDS
    with mirrored(arguments.settings, writes=writes, say=_error) as trip:
        arguments.settings = trip.settings
        code = int(arguments.run(arguments))
    return max(code, trip.code)


Add = Callable[..., argparse.ArgumentParser]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quintain",
        description="The same architectures on every kind of data, with error bars.",
    )
    parser.add_argument("--version", action="version", version=f"quintain {quintain.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help: str, more: str = ""
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=more or None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run, settings=[])
        return sub

    _add_running(add)
    _add_reading(add)
    _add_status(add)
    _add_gate(add)
    add_sharing(add)
    _add_plugins(add)
    return parser


def _add_running(add: Add) -> None:
    run = add("run", _run, "run one cell: one dataset, one model, one seed", _RUN_MORE)
    run.add_argument("settings", nargs="*", help=SETTINGS)
    sweep = add("sweep", _sweep, "run many cells, with the reference rows", _SWEEP_MORE)
    sweep.add_argument("settings", nargs="*", help=SETTINGS)
    sweep.add_argument("--dry-run", action="store_true", help="say what would run, and stop")
    sweep.add_argument(
        "--probe", action="store_true", help="time a few steps of what no earlier run tells about"
    )
    sweep.add_argument(
        "--resume", nargs="?", const="", metavar="PLAN",
        help="go on with a plan as it was frozen (default: the last one of store=…)",
    )  # fmt: skip
    sweep.add_argument("--only", choices=["failed"], help="run only the cells that have failed")
    sweep.add_argument("--force", action="store_true", help="run also what is in the store")
    sweep.add_argument("--no-references", action="store_true", help="leave out the reference rows")
    sweep.add_argument("--leaderboard", action="store_true", help="show the leaderboard at the end")

    tune = add("tune", _tune, "search settings for each model alike, run the best", _TUNE_MORE)
    tune.add_argument("settings", nargs="*", help=SETTINGS)
    tune.add_argument("--dry-run", action="store_true", help="say what would run, and stop")
    tune.add_argument("--no-references", action="store_true", help="leave out the reference rows")
    tune.add_argument("--leaderboard", action="store_true", help="show the leaderboard at the end")


def _add_reading(add: Add) -> None:
    for name, run, help in (
        ("leaderboard", _leaderboard, "rank what a store holds"),
        ("records", _records, "list the records of a store"),
    ):
        reading = add(name, run, help)
        reading.add_argument("settings", nargs="*", help="store=FOLDER (default: results)")
        if name == "records":
            reading.add_argument("--format", choices=("table", "json"), default="table")
            continue
        formats = ("table", "md", "latex", "csv", "json", "html")
        reading.add_argument("--format", choices=formats, help="default: as --output is named")
        reading.add_argument("--output", type=Path, metavar="FILE", help="write it to a file")
        reading.add_argument("--open", action="store_true", help="show the page in a browser")
        reading.add_argument("--watch", action="store_true", help="rebuild it as records come")

    sides = add("compare", _compare, "set two sides against each other, seed by seed")
    of = "two of a kind: models, hardware, versions or code of a store; or two stores, .qb too"
    sides.add_argument("sides", nargs=2, metavar="side", help=of)
    sides.add_argument("settings", nargs="*", help="store=FOLDER (default: results)")
    sides.add_argument("--format", choices=("table", "md", "json"), default="table")


def _add_status(add: Add) -> None:
    status = add("status", _status, "say how far a sweep is, from any terminal with its store")
    status.add_argument("settings", nargs="*", metavar="PLAN", help="a plan's file, and store=…")
    status.add_argument("--format", choices=("table", "json"), default="table")
    status.add_argument("--watch", action="store_true", help="show it again every two seconds")


def _add_gate(add: Add) -> None:
    gate.add_arguments(add("gate", gate.gate, "judge results against a baseline", gate.MORE))
    find = add("bisect", bisection.bisect, "find the commit that made cells worse", bisection.MORE)
    bisection.add_arguments(find)


def _add_plugins(add: Add) -> None:
    listing = add("list", _list, "list datasets, models, hardware and the other options")
    listing.add_argument("settings", nargs="*", metavar="group", help="only these groups")
    listing.add_argument("--format", choices=("table", "json"), default="table")
    new = add("new", _new, "write a new plugin that works: one Python file and one YAML")
    new.add_argument("kind", choices=("dataset", "model", "hardware"))
    new.add_argument("name", help="of the option: a Python identifier in lower case")
    new.add_argument(
        "--into", type=Path, help="plugin folder (default: plugins_dir, or ./quintain_plugins)"
    )
    check = add("check", _check, "run the contract tests on plugins: model=NAME, dataset=NAME")
    check.add_argument("settings", nargs="+", help="what to check, and other settings")
    doctor = add("doctor", _doctor, "say what this installation and machine can do")
    doctor.add_argument("settings", nargs="*", help="store=…, data_dir=…, plugins_dir=…")


_RUN_MORE = """examples:
  quintain run dataset=digits model=cnn
  quintain run dataset=fashion_mnist model=lstm stem.sequence=pixels seed=2
  quintain run -m dataset=digits,pydoc model=glob(*)   Hydra's own multirun and launchers
  quintain run model=cnn --cfg job                     show the configuration, run nothing"""
_SWEEP_MORE = """examples:
  quintain sweep suite=quick
  quintain sweep dataset=digits model=glob(*) seed=1,2,3
A cell that is in the store is not run again; a failed one is. Ctrl-C keeps what has finished."""
_TUNE_MORE = """examples:
  quintain tune dataset=digits model=cnn,lstm tune.trials=20 seed=1,2,3
  quintain tune dataset=digits model=cnn optimizer.lr='tag(log, interval(1e-4,1e-2))'
Trials see validation only. Ctrl-C keeps what has finished; the same command goes on."""


def _run(arguments: argparse.Namespace) -> int:
    return _sweep_with(arguments, references=False)


def _sweep(arguments: argparse.Namespace) -> int:
    return _sweep_with(arguments, references=not arguments.no_references)


def _sweep_with(arguments: argparse.Namespace, references: bool) -> int:
    from quintain.launch.command import sweep

    plan, code = sweep(arguments, _console(), references)
    if arguments.command == "sweep" and arguments.leaderboard and not arguments.dry_run:
        _show_leaderboard(plan.settings.store, [p.cell.key for p in plan.cells])
    return code


def _status(arguments: argparse.Namespace) -> int:
    import json

    from quintain.compose.planfile import latest_plan
    from quintain.launch.status import show, status_of, watch

    words = [f"store={word}" if Path(word).is_dir() else word for word in arguments.settings]
    files = [Path(word) for word in words if "=" not in word or Path(word).is_file()]
    arguments.settings = [word for word in words if Path(word) not in files]
    file = files[0] if files else None
    if file is not None and not arguments.settings and file.absolute().parent.name == "plans":
        arguments.settings = [f"store={file.absolute().parent.parent}"]
    store = existing_store(arguments)
    file = file or latest_plan(store.path)
    if arguments.watch:
        watch(file, store, _console())
    elif arguments.format == "json":
        print(json.dumps(status_of(file, store).plain(), indent=1))
    else:
        _console().print(show(status_of(file, store)))
    return 0


def _tune(arguments: argparse.Namespace) -> int:
    from quintain.launch.tune import tune

    console = _console()
    asks = {"dry_run": arguments.dry_run, "references": not arguments.no_references}
    tuning = tune(arguments.settings, console, **asks)
    if arguments.leaderboard and tuning.keys:
        _show_leaderboard(tuning.store, tuning.keys)
    return tuning.exit_code


def _show_leaderboard(store: Path, keys: Sequence[str]) -> None:
    from quintain.records.store import Store
    from quintain.report.command import write_page
    from quintain.report.table import print_leaderboard

    wanted, found = set(keys), Store(store)
    print_leaderboard([r for r in found.all() if r.key in wanted])
    print(f"the whole store as a page: {write_page(found)}")


def _hydra(arguments: argparse.Namespace) -> int:
    from quintain.launch.hydra_job import run_hydra

    return run_hydra(arguments.settings)


def _leaderboard(arguments: argparse.Namespace) -> int:
    from quintain.compose.errors import UsageError
    from quintain.report.command import leaderboard

    asks = {"open_it": arguments.open, "watch": arguments.watch}
    if any(asks.values()) and arguments.format not in (None, "html"):
        raise UsageError(f"--open and --watch show the HTML page, not --format {arguments.format}")
    place = named_store(arguments)
    output = arguments.output
    if any(asks.values()) and place.is_file():  # a bundle's folder goes when the command ends
        output = output or place.with_suffix(".html")
    return leaderboard(store_at(place), arguments.format, output, **asks)


def _compare(arguments: argparse.Namespace) -> int:
    from quintain.compose.errors import UsageError
    from quintain.report.compare_view import show

    a, b = arguments.sides
    if stray := [side for side in (a, b) if side.startswith("store=")]:
        raise UsageError(
            f"{stray[0]} is no side of a comparison: expected two of a kind and then settings, as"
            " in: quintain compare lstm gru store=results"
        )
    if a == b:
        raise UsageError(f"compare takes two: {a} and {b} are one")
    show(arguments.sides, lambda: existing_store(arguments), arguments.format)
    return 0


def _records(arguments: argparse.Namespace) -> int:
    import json

    from quintain.records.bundles.origins import origins
    from quintain.report.records_list import print_records, records_json

    store = existing_store(arguments)
    if arguments.format == "json":
        bundles = {key: origin.bundle for key, origin in origins(store).items()}
        print(json.dumps(records_json(store.all(), bundles), indent=1, allow_nan=False))
    else:
        print_records(store.all())
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from quintain.compose.listing import print_options

    print_options(arguments.settings, arguments.format, _console())
    return 0


def _new(arguments: argparse.Namespace) -> int:
    from quintain.compose.scaffold import write_plugin

    write_plugin(arguments.kind, arguments.name, arguments.into, _console())
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from quintain.testing.command import check

    return check(arguments.settings, _console())


def _doctor(arguments: argparse.Namespace) -> int:
    from quintain.doctor import doctor

    return doctor(plain_settings(arguments, {"store": "results", "data_dir": ""}), _console())


def _at_home(setting: str) -> str:
    """`store=~/x` with the home folder: the shell leaves it alone, and to Hydra `~` deletes."""
    key, equals, value = setting.partition("=")
    ours = value.startswith("~") and key in ("store", "data_dir", "plugins_dir")
    if equals and key and (ours or value == "~" or value.startswith("~/")):
        return f"{key}={Path(value).expanduser()}"
    return setting


def _use_plugin_folders(arguments: argparse.Namespace) -> None:
    """`plugins_dir=` must be known before configuration is looked for."""
    for setting in arguments.settings:
        key, _, value = str(setting).partition("=")
        if key == "plugins_dir" and value not in ("", "null"):
            from quintain.compose.providers import use_folder

            use_folder(value)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _error(sentence: str) -> None:
    from quintain.compose.errors import printable

    print(f"quintain: {printable(sentence)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
