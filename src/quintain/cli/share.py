"""The commands that share records: `quintain export`, `import` and `publish`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.cli.arguments import (
    STORE_HELP,
    Subparsers,
    add_command,
    parse_settings,
    parse_store_path,
)
from quintain.errors import UsageError

if TYPE_CHECKING:
    from quintain.wandb_mirror.client import Mode

KIB = 2**10
EXPORT_EPILOG = """examples:
  quintain export --to team.qb
  quintain export --to main.qb results dataset=digits model=cnn,lstm --samples
A bundle is data: a zip of JSON, images and audio, without user names, paths or code."""
IMPORT_EPILOG = """examples:
  quintain import team.qb
  quintain leaderboard team.qb      reads a bundle without importing it
A record that the store has is never replaced. A second import changes nothing."""
PUBLISH_EPILOG = """examples:
  quintain publish
  quintain publish my_store --project sequences
  quintain publish --offline, later: wandb sync results/wandb/offline-run-*
A second call sends nothing. If no API key is configured, runs are written offline; nothing is
asked."""


def add_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "export", run_export, "write records into a bundle, a file to share",
        EXPORT_EPILOG, takes_store=True,
    )  # fmt: skip
    add(
        "overrides", nargs="*", metavar="STORE",
        help=f"{STORE_HELP}; dataset=…, model=… select records",
    )  # fmt: skip
    add("--to", type=Path, required=True, metavar="FILE", help="file to write, such as team.qb")
    add("--samples", action="store_true", help="include sample images, audio and text")
    add = add_command(
        commands, "import", run_import, "copy the records of a bundle into a store",
        IMPORT_EPILOG, writes_records=True,
    )  # fmt: skip
    add("bundle", type=Path, help="a .qb file")
    add("overrides", nargs="*", help="store=FOLDER (default: results)")
    add("--store", metavar="STORE", help="the same as store=FOLDER")
    add = add_command(
        commands, "publish", run_publish, "send a store to Weights & Biases",
        PUBLISH_EPILOG, takes_store=True,
    )  # fmt: skip
    add("overrides", nargs="*", metavar="STORE", help=STORE_HELP)
    add("--project", help="W&B project (default: WANDB_PROJECT, or quintain)")
    add("--entity", help="W&B team or user (default: yours)")
    add("--report", action="store_true", help="write a W&B Report, too")
    add("--offline", action="store_true", help="write runs to be synced later")


def run_export(arguments: argparse.Namespace) -> int:
    from quintain.compose.store_setting import open_store
    from quintain.records.bundles.exporter import SELECTABLE, export_bundle, select_records

    defaults = {"store": "results", **dict.fromkeys(SELECTABLE, "")}
    filters = parse_settings(arguments, defaults, accept_sweep_settings=True)
    store = open_store(Path(filters.pop("store")).expanduser())
    records = select_records(store.all(), filters)
    selection = [f"{name}={value}" for name, value in filters.items() if value]
    result = export_bundle(
        records, store, arguments.to, samples=arguments.samples, chosen=selection
    )
    for note in result.notes:
        print(note)
    samples = f", {result.samples} with samples" if arguments.samples else ""
    size = f"{result.bytes / KIB:,.1f} KiB"
    print(f"{arguments.to}: {_format_count(result.records)}{samples}, {size}")
    print(f"SHA-256 {result.sha256}")
    return 0


def run_import(arguments: argparse.Namespace) -> int:
    from quintain.records.bundles.importer import import_bundle
    from quintain.records.store import Store

    store = Store(parse_store_path(arguments))
    result = import_bundle(arguments.bundle, store)
    print(
        f"{store.path}: {_format_count(result.new)} of {arguments.bundle} are new,"
        f" {result.same} were in the store"
    )
    if result.conflicts:
        count = _format_count(len(result.conflicts))
        print(f"{count} kept as they are in the store; the bundle has other results for them:")
        print("  " + " ".join(result.conflicts))
    if result.unverified:
        count = _format_count(len(result.unverified))
        print(f"{count} have a key that cannot be checked: a secret was removed from the cell:")
        print("  " + " ".join(result.unverified))
    print(f"SHA-256 {result.sha256}")
    return 0


def run_publish(arguments: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from quintain.compose.store_setting import open_store
    from quintain.wandb_mirror.publish import publish

    if arguments.report and find_spec("wandb_workspaces") is None:
        raise UsageError("--report needs wandb-workspaces: pip install 'quintain[report]'")
    path = parse_store_path(arguments)
    if path.is_file():  # publishing writes into the store; a bundle is fixed
        raise UsageError(f"{path} is a bundle: import it into a store first, by quintain import")
    store = open_store(path)
    if not store.files():
        raise UsageError(f"the store {path} holds no record to publish")
    mode: Mode = "offline" if arguments.offline else "auto"
    result = publish(store, mode, arguments.project, arguments.entity, report=arguments.report)
    for note in result.notes:
        print(note)
    if result.mode == "disabled":
        print("W&B is disabled by WANDB_MODE: nothing was sent")
        return 0
    runs = result.runs
    counts = f"{runs.written} sent, {runs.unchanged} unchanged, {runs.failed} failed"
    print(f"W&B, {result.mode}: runs: {counts}; leaderboard: {result.board}")
    if not (runs.written or runs.failed) and result.board == "unchanged":
        print("nothing is new: what the store has was sent before")
    if result.report:
        print(f"report: {result.report}")
    if result.mode == "offline" and (runs.written or result.board == "sent"):
        print(f"to send them: wandb sync {store.path}/wandb/offline-run-*")
    return int(result.has_failed)


def _format_count(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
