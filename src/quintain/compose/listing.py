"""What there is to choose from, read from the YAML files alone: no plugin is imported."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from quintain.compose.config import composer
from quintain.compose.diagnose import first_line
from quintain.compose.errors import UsageError, nearest, printable
from quintain.compose.needs import install_hint, missing_packages, needed_packages
from quintain.compose.providers import GROUPS, config_folders


def print_options(groups: Sequence[str], form: str, console: Console) -> None:
    """The options of the asked groups (all, if none is named), as tables or JSON."""
    rows = list_options(groups)
    if form == "json":
        print(json.dumps(rows, indent=1))
        return
    for group in dict.fromkeys(row["group"] for row in rows):
        table = Table(title=group, title_justify="left", box=None, pad_edge=False)
        for column in ("option", "about", "from"):
            table.add_column(column, overflow="fold")
        for row in (r for r in rows if r["group"] == group):
            about = row["about"] + (f" [{row['hint']}]" if row["hint"] else "")
            table.add_row(Text(row["option"]), Text(about), Text(row["provider"]))
        console.print(table)
        console.print()


def list_options(groups: Sequence[str]) -> list[dict[str, Any]]:
    """One row an option: group, option, about, provider, needs, missing, hint.

    Raises:
        UsageError: a group that does not exist.
    """
    if unknown := [g for g in groups if g not in GROUPS and "=" not in g]:
        raise UsageError(f"there is no group {g}{nearest(g, GROUPS)}" for g in unknown)
    wanted = [g for g in groups if "=" not in g] or list(GROUPS)
    with composer() as known:
        folders = config_folders()
        return [
            _row(group, option, provider, folders[provider])
            for group in wanted
            for option, provider in sorted(known[group].items())
        ]


def _row(group: str, option: str, provider: str, folder: Path | None) -> dict[str, Any]:
    card = read_card(folder / group / f"{option}.yaml") if folder else {}
    return {
        "group": group,
        "option": option,
        "about": printable(str(card.get("about", ""))),
        "provider": "quintain" if provider == "main" else provider,
        "needs": needed_packages(card),
        "missing": missing_packages(card),
        "hint": install_hint(card),
    }


def read_card(file: Path) -> dict[str, Any]:
    """The card of an option as its YAML file has it; without one, what its first comment says.

    With libyaml's loader where there is one: Hydra's takes ten times as long.
    """
    try:
        text = file.read_text()
        plain = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        return {"about": f"cannot be read: {first_line(error)}"}
    outer = plain if isinstance(plain, dict) else {}
    inner = outer.get(file.parent.name)  # a global YAML has its part under its group's name
    node = inner if isinstance(inner, dict) else outer
    card = node.get("card")
    return dict(card) if isinstance(card, dict) else {"about": _first_comment(text)}


def _first_comment(text: str) -> str:
    """The comment at the head of a YAML file, without directives and commands."""
    head = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.lstrip("# ") for line in head]
    return " ".join(line for line in lines if not line.startswith(("@", "quintain ")))
