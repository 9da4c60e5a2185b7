"""Commands that carry records to others: export, import, publish."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.commands.words import named_store, plain_settings, store_at

if TYPE_CHECKING:
    from quintain.records.mirror import Mode

STORE = "STORE (a folder, a .qb file or a URL; default: results)"
KIB = 2**10


def add_sharing(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the parsers of these commands."""
    out = add("export", _export, "write records into a bundle, a file to share", _EXPORT_MORE)
    out.add_argument("settings", nargs="*", help=f"{STORE}; dataset=…, model=… choose records")
    out.add_argument("--to", type=Path, required=True, metavar="FILE", help="such as team.qb")
    out.add_argument("--samples", action="store_true", help="take samples along: pictures, sounds")
    into = add("import", _import, "take the records of a bundle into a store", _IMPORT_MORE)
    into.add_argument("bundle", type=Path, help="a .qb file")
    into.add_argument("settings", nargs="*", help="store=FOLDER (default: results)")
    into.add_argument("--store", metavar="STORE", help="the same as store=FOLDER")
    show = add("publish", _publish, "show a store in Weights & Biases", _PUBLISH_MORE)
    show.add_argument("settings", nargs="*", help=STORE)
    show.add_argument("--project", help="of W&B (default: WANDB_PROJECT, or quintain)")
    show.add_argument("--entity", help="of W&B: a team or a person (default: yours)")
    show.add_argument("--report", action="store_true", help="write a W&B Report too")
    show.add_argument("--offline", action="store_true", help="write runs to be synced later")


_EXPORT_MORE = """examples:
  quintain export --to team.qb
  quintain export --to main.qb results dataset=digits model=cnn,lstm --samples
A bundle is data: a zip of JSON, pictures and sounds, without names, paths or code."""
_IMPORT_MORE = """examples:
  quintain import team.qb
  quintain leaderboard team.qb      reads a bundle without importing it
A record that the store has is never replaced. A second import changes nothing."""

_PUBLISH_MORE = """examples:
  quintain publish
  quintain publish my_store --project sequences
  quintain publish --offline, later: wandb sync results/wandb/offline-run-*
A second call sends nothing. Without an API key runs are written offline; nothing is asked."""


def _export(arguments: argparse.Namespace) -> int:
    from quintain.records.bundles.export import export
    from quintain.records.choose import CHOOSES, choose

    values = plain_settings(
        arguments, {"store": "results", **dict.fromkeys(CHOOSES, "")}, lives_on=True
    )
    store = store_at(Path(values.pop("store")).expanduser())
    chosen = choose(store.all(), values)
    words = [f"{name}={value}" for name, value in values.items() if value]
    done = export(chosen, store, arguments.to, samples=arguments.samples, chosen=words)
    for note in done.notes:
        print(note)
    with_samples = f", {done.samples} with samples" if arguments.samples else ""
    print(f"{arguments.to}: {_records(done.records)}{with_samples}, {done.bytes / KIB:,.1f} KiB")
    print(f"SHA-256 {done.sha256}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from quintain.records.bundles.importing import import_bundle
    from quintain.records.store import Store

    store = Store(named_store(arguments))
    done = import_bundle(arguments.bundle, store)
    print(
        f"{store.path}: {_records(done.new)} of {arguments.bundle} are new, {done.same} were there"
    )
    if done.kept:
        print(f"{_records(len(done.kept))} kept as they are here; the bundle has others for them:")
        print("  " + " ".join(done.kept))
    if done.unverified:
        print(f"{_records(len(done.unverified))} could not be checked against their cell, because")
        print("  a secret was taken out of it: " + " ".join(done.unverified))
    print(f"SHA-256 {done.bundle}")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from quintain.compose.errors import UsageError
    from quintain.report.publish import publish

    if arguments.report and find_spec("wandb_workspaces") is None:
        raise UsageError("--report needs wandb-workspaces: pip install 'quintain[report]'")
    if (named := named_store(arguments)).is_file():  # what is sent is marked in the store
        raise UsageError(f"{named} is a bundle: take it into a store first, by quintain import")
    store = store_at(named)
    if not store.files():
        raise UsageError(f"the store {named} holds no record to publish")
    mode: Mode = "offline" if arguments.offline else "auto"
    place = arguments.project, arguments.entity
    done = publish(store, mode, *place, report=arguments.report)
    for note in done.notes:
        print(note)
    if done.mode == "disabled":
        print("W&B is disabled by WANDB_MODE: nothing was sent")
        return 0
    runs = done.runs
    told = f"{runs.written} sent, {runs.unchanged} were there, {runs.failed} failed"
    print(f"W&B, {done.mode}: runs: {told}; leaderboard: {done.board}")
    if done.report:
        print(f"report: {done.report}")
    if done.mode == "offline" and (runs.written or done.board == "sent"):
        print(f"to send them: wandb sync {store.path}/wandb/offline-run-*")
    return 0


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
