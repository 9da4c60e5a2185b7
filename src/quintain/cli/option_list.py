"""List the options of config groups from their YAML files, without importing a plugin."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from quintain.compose.config import hydra_session
from quintain.compose.diagnose import first_line
from quintain.compose.plugin_providers import GROUPS, config_folders
from quintain.compose.requirements import install_hint, missing_packages, required_packages
from quintain.errors import UsageError, nearest, printable
from quintain.report.terminal.console import safe_text


def print_options(groups: Sequence[str], format: str, console: Console) -> None:
    """Print the rows of `list_options` as "table" or "json"."""
    rows = list_options(groups)
    if format == "json":
        print(json.dumps(rows, indent=1))
        return
    for group in dict.fromkeys(row["group"] for row in rows):
        table = Table(title=group, title_justify="left", box=None, pad_edge=False)
        for column in ("option", "about", "from"):
            table.add_column(column, overflow="fold")
        for row in (row for row in rows if row["group"] == group):
            about = row["about"] + (f" [{row['hint']}]" if row["hint"] else "")
            table.add_row(*map(safe_text, (row["option"], about, row["provider"])))
        console.print(table)
        console.print()


def list_options(groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each option: group, option, about, provider, needs, missing, hint.

    Without groups all are listed; settings among them, such as plugins_dir=…, are ignored.

    Raises:
        UsageError: a group does not exist.
    """
    names = [group for group in groups if "=" not in group]
    if unknown := [name for name in names if name not in GROUPS]:
        raise UsageError(f"there is no group {name}{nearest(name, GROUPS)}" for name in unknown)
    with hydra_session() as known:
        folders = config_folders()
        return [
            _describe_option(group, option, provider, folders[provider])
            for group in names or GROUPS
            for option, provider in sorted(known[group].items())
        ]


def _describe_option(group: str, option: str, provider: str, folder: Path | None) -> dict[str, Any]:
    card = read_card(folder / group / f"{option}.yaml") if folder else {}
    return {
        "group": group,
        "option": option,
        "about": printable(str(card.get("about", ""))),
        "provider": "quintain" if provider == "main" else provider,
        "needs": required_packages(card),
        "missing": missing_packages(card),
        "hint": install_hint(card),
    }


def read_card(file: Path) -> dict[str, Any]:
    """Return the card in the YAML file of an option; without a card, its first comment as `about`.

    Uses libyaml's loader where installed, which takes a tenth of the time of Hydra's.
    """
    try:
        text = file.read_text()
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        return {"about": f"cannot be read: {first_line(error)}"}
    outer = content if isinstance(content, dict) else {}
    inner = outer.get(file.parent.name)  # a `@package _global_` file nests it under its group
    node = inner if isinstance(inner, dict) else outer
    card = node.get("card")
    return dict(card) if isinstance(card, dict) else {"about": _first_comment(text)}


def _first_comment(text: str) -> str:
    """Return the comment at the top of a YAML file, without `@package` and example commands."""
    comment = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.lstrip("# ") for line in comment]
    return " ".join(line for line in lines if not line.startswith(("@", "quintain ")))
