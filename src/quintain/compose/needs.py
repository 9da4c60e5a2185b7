"""Optional dependencies: a plugin's card lists the packages that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any


def missing_packages(card: Mapping[str, Any]) -> list[str]:
    """The packages of `card.needs`, as pip names them, that are not installed."""
    return [package for package in card.get("needs") or [] if not _installed(package)]


def install_hint(card: Mapping[str, Any]) -> str:
    """What to do to have them, "" where there is nothing to do."""
    missing = missing_packages(card)
    return f"needs {', '.join(missing)}: pip install {' '.join(missing)}" if missing else ""


def _installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True
