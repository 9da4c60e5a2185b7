"""Optional dependencies: a plugin's card lists the packages that it needs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion


def needed_packages(card: Mapping[str, Any]) -> list[str]:
    """`card.needs` as it stands; nothing where it is no list of requirements."""
    return [] if _wrong(card) else list(card.get("needs") or [])


def missing_packages(card: Mapping[str, Any]) -> list[str]:
    """The packages of `card.needs`, as pip names them, that are not installed."""
    return [package for package in needed_packages(card) if not _installed(Requirement(package))]


def install_hint(card: Mapping[str, Any]) -> str:
    """What to do to have them, "" where there is nothing to do."""
    if wrong := _wrong(card):
        return wrong
    missing = missing_packages(card)
    return f"needs {', '.join(missing)}: pip install {shlex.join(missing)}" if missing else ""


def _wrong(card: Mapping[str, Any]) -> str:
    """What is wrong with `card.needs`, "" if nothing is."""
    needs = card.get("needs")
    if needs is None or (isinstance(needs, list) and all(map(_is_requirement, needs))):
        return ""
    return f"card.needs must be a list of packages, as in [rich, 'numpy>=2']; came {needs!r}"


def _is_requirement(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(Requirement(text).name)
    except InvalidRequirement:
        return False


def _installed(package: Requirement) -> bool:
    if package.marker is not None and not package.marker.evaluate():
        return True  # not needed here
    try:
        version = metadata.distribution(package.name).version
        return package.specifier.contains(version, prereleases=True)
    except (metadata.PackageNotFoundError, InvalidVersion):
        return False
