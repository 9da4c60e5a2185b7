"""The commands `quintain run` and `quintain sweep`, from their arguments to exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from quintain.compose.errors import UsageError
from quintain.compose.plan import Plan, make_plan
from quintain.compose.planfile import latest_plan
from quintain.compose.resume import choose, resume
from quintain.launch.forecast import forecast
from quintain.launch.server import examine, warm
from quintain.launch.sweep import OK, describe, run_plan, say
from quintain.records.store import Store


def sweep(arguments: argparse.Namespace, console: Console, references: bool) -> tuple[Plan, int]:
    """Plan, and run what the plan says; the plan and the exit code."""
    sweeping = arguments.command == "sweep"

    def prepare() -> None:
        console.print("composing and checking the cells …", style="dim")
        warm()

    if sweeping and arguments.only and arguments.resume is None and not _choices(arguments):
        raise UsageError(
            "--only failed of which sweep? give its words, or --resume to go on with the last one"
        )
    if sweeping and arguments.resume is not None:
        plan = resume(*_resumed(arguments), _statuses)
    else:
        most = None if sweeping else 1
        words = arguments.settings
        # What is to run again is composed and checked anew, not recalled from the store.
        look = _nothing if sweeping and arguments.force else _statuses
        plan = make_plan(words, look, examine, references=references, most=most, warm=prepare)
    if sweeping:
        failed = arguments.only == "failed"
        choose(plan, _statuses, only_failed=failed, force=arguments.force)
    forecast(plan, probe=sweeping and arguments.probe)
    if sweeping and arguments.dry_run:
        describe(plan, console)
        return plan, OK
    outcome = run_plan(plan, console)
    say(plan, outcome, console)
    return plan, outcome.exit_code


def _choices(arguments: argparse.Namespace) -> list[str]:
    """The words that choose cells."""
    places = ("store=", "launch.", "wandb.", "data_dir=", "plugins_dir=")
    return [word for word in map(str, arguments.settings) if not word.startswith(places)]


def _statuses(store: Path, keys: Sequence[str]) -> Mapping[str, str]:
    return Store(store).statuses(keys)


def _nothing(store: Path, keys: Sequence[str]) -> Mapping[str, str]:
    return {}


def _resumed(arguments: argparse.Namespace) -> tuple[Path, list[str]]:
    """The file that `--resume` names, or the last one of the store; and the settings."""
    named, words = arguments.resume, [str(setting) for setting in arguments.settings]
    stores = [word.partition("=")[2] for word in words if word.startswith("store=")]
    place = Path(stores[-1] if stores else "results").expanduser()
    return (Path(named) if named else latest_plan(place)), words
