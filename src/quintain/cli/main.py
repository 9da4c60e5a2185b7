"""The command line: parse the arguments, run the command, return its exit code (`ExitCode`).

A command imports what it needs when it runs, so that `--help` is fast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from quintain._version import __version__
from quintain.cli import doctor, gate, plugins, results, share, sweep
from quintain.cli.arguments import normalize_overrides
from quintain.cli.output import print_error
from quintain.errors import ExitCode, StoreError, UsageError, guess, nearest

COMMANDS = (sweep, results, gate, share, plugins, doctor)
HYDRA_FLAGS = (
    "-m", "--multirun", "-c", "--cfg", "-i", "--info", "--hydra-help", "-p", "--package", "-cd",
    "--config-dir", "-cn", "--config-name", "-cp", "--config-path", "--experimental-rerun",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if problem := _find_unknown_command(words, parser):
        print_error(problem)
        return ExitCode.USAGE
    arguments, unknown = parser.parse_known_args(words)
    if arguments.command == "run" and any(w.split("=")[0] in HYDRA_FLAGS for w in unknown):
        arguments.overrides, arguments.run = words[1:], sweep.run_with_hydra
        return _run_command(arguments)
    if options := [word for word in unknown if word.startswith("-")]:
        print_error(_explain_unknown_option(options[0], arguments.command, parser))
        return ExitCode.USAGE
    if unknown:  # words after an option
        arguments.overrides = [*arguments.overrides, *unknown]
    return _run_command(arguments)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quintain",
        description="The same architectures on every kind of data, with error bars.",
    )
    parser.add_argument("--version", action="version", version=f"quintain {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def _subparsers(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    actions = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return next(actions).choices


def _find_unknown_command(words: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """Return a message if the first word is no command, else ""."""
    commands = _subparsers(parser)
    if not words or words[0].startswith("-") or words[0] in commands:
        return ""
    return f"there is no command {words[0]}{nearest(words[0], commands)}"


def _explain_unknown_option(option: str, command: str, parser: argparse.ArgumentParser) -> str:
    name = option.partition("=")[0]
    message = f"unknown option {option}"
    if name in HYDRA_FLAGS:
        return f"{message}: Hydra's own options work with quintain run"
    if close := guess(name, _subparsers(parser)[command]._option_string_actions):
        message += f"; did you mean {close}?"
    return f"{message}; see quintain {command} --help"


def _run_command(arguments: argparse.Namespace) -> int:
    """Run a command; errors that a user can correct become messages, never tracebacks."""
    try:
        sweep.separate_resume(arguments)
        arguments.overrides = normalize_overrides(arguments)
        if any(override.startswith("plugins_dir=") for override in arguments.overrides):
            from quintain.compose.plugin_providers import add_plugin_folders

            add_plugin_folders(arguments.overrides)
        return _run_on_local_store(arguments)
    except UsageError as error:
        for problem in error.problems:
            print_error(problem)
        return ExitCode.USAGE
    except StoreError as error:
        print_error(str(error))
        return ExitCode.USAGE
    except KeyboardInterrupt:
        print_error("interrupted; run the same command again to continue or to start over")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        sys.stderr.close()
        return ExitCode.OK


def _run_on_local_store(arguments: argparse.Namespace) -> int:
    """Run a command; if `store=` is a URL, on a local copy of it that is kept in sync."""
    if not any("://" in override for override in arguments.overrides):
        return int(arguments.run(arguments))
    from quintain.records.remote.sync import synced_store

    overrides, writes = arguments.overrides, arguments.writes_records
    with synced_store(overrides, writes=writes, notify=print_error) as session:
        arguments.overrides = session.overrides
        code = int(arguments.run(arguments))
    return max(code, session.exit_code)


if __name__ == "__main__":
    sys.exit(main())
