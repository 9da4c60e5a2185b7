"""`quintain doctor`: what this installation and machine can do, and what stands in the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rich.console import Console
from rich.text import Text

from quintain.compose.config import composer, default_data_dir, option_config
from quintain.compose.errors import UsageError
from quintain.compose.listing import list_options
from quintain.compose.providers import providers


def doctor(settings: dict[str, str], console: Console) -> int:
    """Print one line a finding; 1 where something is wrong, 0 else."""
    wrong = 0
    store = Path(settings["store"]).expanduser()
    data = Path(settings["data_dir"] or default_data_dir()).expanduser()
    for ok, words in (
        *_machine(),
        *_hardware(),
        _writable(store),
        _data(data),
        *_plugins(),
        _wandb(),
    ):
        mark, style = ("✗", "red") if ok is False else ("✓", "green") if ok else ("–", "dim")
        console.print(Text(f"{mark} {words}", style=style), soft_wrap=True)
        wrong += ok is False
    return 1 if wrong else 0


Finding = tuple[bool | None, str]


def _machine() -> list[Finding]:
    from quintain.run.machine import machine, versions

    facts = machine()
    text = f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GiB, {facts['os']}"
    return [(True, text), (True, ", ".join(f"{k} {v}" for k, v in versions().items()))]


def _hardware() -> list[Finding]:
    from quintain.compose.bind import instantiate

    found: list[Finding] = []
    with composer() as known:
        for name in sorted(known["hardware"]):
            node = option_config("hardware", name)
            if "choose_from" in node:
                continue
            try:
                missing = instantiate(node).missing()
            except (UsageError, ValueError, TypeError) as error:
                found.append((False, f"hardware={name}: {error}"))
                continue
            found.append((None if missing else True, f"hardware={name}: {missing or 'is here'}"))
    return found


def _writable(store: Path) -> Finding:
    from quintain.records.store import Store, StoreError

    if not store.exists():
        return None, f"store {store}: not there yet; the first sweep makes it"
    try:
        Store(store).check_writable()
    except StoreError as error:
        return False, str(error)
    free = shutil.disk_usage(store).free / 2**30
    return True, f"store {store}: {len(Store(store).all())} records, {free:.0f} GiB free"


def _data(data: Path) -> Finding:
    if data.is_dir():
        return True, f"data folder {data}"
    return None, f"data folder {data}: not there yet; downloads will make it"


def _plugins() -> list[Finding]:
    found: list[Finding] = []
    try:
        found += [(True, f"plugins from {p.name} ({p.path})") for p in providers()]
        rows = list_options([])
    except UsageError as error:
        return [*found, *((False, problem) for problem in error.problems)]
    found += [(None, f"{r['group']}={r['option']} {r['hint']}") for r in rows if r["missing"]]
    return [*found, (True, f"{len(rows)} options in {len({r['group'] for r in rows})} groups")]


def _wandb() -> Finding:
    if os.environ.get("WANDB_MODE"):
        return None, f"W&B: WANDB_MODE={os.environ['WANDB_MODE']}"
    if os.environ.get("WANDB_API_KEY"):
        return True, "W&B: a key is configured; runs are mirrored online"
    return None, "W&B: no WANDB_API_KEY; runs are mirrored offline unless a netrc has a key"
