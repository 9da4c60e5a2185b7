"""The command `quintain doctor`: what this installation and machine can do."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from quintain.cli.arguments import Subparsers, add_command, parse_settings
from quintain.cli.output import create_console, print_finding
from quintain.errors import StoreError, UsageError

Finding = tuple[bool | None, str]
"""Whether a part works (None: it is absent, which may be intended), and a line about it."""


def add_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "doctor", run, "show what this installation and machine can do",
        writes_records=True,  # it checks whether the store is writable
    )  # fmt: skip
    add("overrides", nargs="*", help="store=…, data_dir=…, plugins_dir=…")


def run(arguments: argparse.Namespace) -> int:
    """Print all findings; return 1 if something does not work."""
    from quintain.compose.config import default_data_dir

    settings = parse_settings(arguments, {"store": "results", "data_dir": ""})
    data_dir = Path(settings["data_dir"] or default_data_dir()).expanduser()
    data_state = "" if data_dir.is_dir() else ": does not exist yet; downloads create it"
    findings = [
        *_describe_machine(),
        *_check_hardware(),
        _check_store(Path(settings["store"]).expanduser()),
        (None if data_state else True, f"data folder {data_dir}{data_state}"),
        *_check_plugins(),
        _check_wandb(),
    ]
    console = create_console()
    for works, line in findings:
        print_finding(console, works, line)
    return int(any(works is False for works, _ in findings))


def _describe_machine() -> list[Finding]:
    from quintain.run.measure.machine import describe_machine, read_package_versions

    machine = describe_machine()
    line = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GiB, {machine['os']}"
    )
    versions = ", ".join(f"{name} {version}" for name, version in read_package_versions().items())
    return [(True, line), (True, versions)]


def _check_hardware() -> list[Finding]:
    from quintain.compose.config import hydra_session, load_option
    from quintain.compose.instantiate import instantiate

    findings: list[Finding] = []
    with hydra_session() as known:
        for name in sorted(known["hardware"]):
            node = load_option("hardware", name)
            if "choose_from" in node:
                continue
            try:
                missing = instantiate(node).missing()
            except (UsageError, ValueError, TypeError) as error:
                findings.append((False, f"hardware={name}: {error}"))
            else:
                works = None if missing else True
                findings.append((works, f"hardware={name}: {missing or 'is available'}"))
    return findings


def _check_store(path: Path) -> Finding:
    from quintain.records.store import Store

    if not path.exists():
        return None, f"store {path}: does not exist yet; the first sweep creates it"
    store = Store(path)
    try:
        store.check_writable()
    except StoreError as error:
        return False, str(error)
    free = shutil.disk_usage(path).free / 2**30
    return True, f"store {path}: {len(store.all())} records, {free:.0f} GiB free"


def _check_plugins() -> list[Finding]:
    from quintain.cli.option_list import list_options
    from quintain.compose.plugin_providers import find_providers

    findings: list[Finding] = []
    try:
        findings += [(True, f"plugins from {p.name} ({p.path})") for p in find_providers()]
        rows = list_options([])
    except UsageError as error:
        return [*findings, *((False, problem) for problem in error.problems)]
    findings += [(None, f"{r['group']}={r['option']} {r['hint']}") for r in rows if r["missing"]]
    groups = {row["group"] for row in rows}
    return [*findings, (True, f"{len(rows)} options in {len(groups)} groups")]


def _check_wandb() -> Finding:
    if os.environ.get("WANDB_MODE"):
        return None, f"W&B: WANDB_MODE={os.environ['WANDB_MODE']}"
    if os.environ.get("WANDB_API_KEY"):
        return True, "W&B: a key is configured; runs are mirrored online"
    return None, "W&B: no WANDB_API_KEY; runs are mirrored offline unless a netrc has a key"
