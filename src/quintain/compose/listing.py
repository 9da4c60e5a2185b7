"""What there is to choose from, read from the YAML files alone: no plugin is imported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from quintain.compose.config import composer
from quintain.compose.diagnose import first_line
from quintain.compose.errors import UsageError, nearest
from quintain.compose.needs import install_hint, missing_packages
from quintain.compose.providers import GROUPS
from quintain.compose.raw import COMPOSE_ERRORS


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
        return [
            _row(group, option, provider)
            for group in wanted
            for option, provider in sorted(known[group].items())
        ]


def _row(group: str, option: str, provider: str) -> dict[str, Any]:
    card = read_card(group, option, provider)
    return {
        "group": group,
        "option": option,
        "about": str(card.get("about", "")),
        "provider": "quintain" if provider == "main" else provider,
        "needs": list(card.get("needs") or []),
        "missing": missing_packages(card),
        "hint": install_hint(card),
    }


def read_card(group: str, option: str, provider: str) -> dict[str, Any]:
    """The card of an option as its YAML has it; {} where it has none or cannot be read."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.provider == provider and source.is_config(f"{group}/{option}"):
            try:
                loaded = source.load_config(f"{group}/{option}").config
            except COMPOSE_ERRORS as error:
                return {"about": f"cannot be read: {first_line(error)}"}
            plain: Any = OmegaConf.to_container(loaded, resolve=False)
            outer = plain if isinstance(plain, dict) else {}
            inner = outer.get(group)  # a global YAML has its part under its group's name
            node = inner if isinstance(inner, dict) else outer
            return dict(node.get("card") or {})
    return {}
