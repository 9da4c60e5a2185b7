"""Optional dependencies: the packages in `card.needs` of a plugin."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion


def required_packages(card: Mapping[str, Any]) -> list[str]:
    """Return the requirements in `card.needs`; none if it is not a list of requirements."""
    return [] if _find_format_problem(card) else list(card.get("needs") or [])


def missing_packages(card: Mapping[str, Any]) -> list[str]:
    """Return the requirements in `card.needs` that are not installed."""
    return [text for text in required_packages(card) if not _is_installed(Requirement(text))]


def install_hint(card: Mapping[str, Any]) -> str:
    """Return a message if packages are missing or `card.needs` is not valid, else ""."""
    if problem := _find_format_problem(card):
        return problem
    missing = missing_packages(card)
    return f"needs {', '.join(missing)}: pip install {shlex.join(missing)}" if missing else ""


def _find_format_problem(card: Mapping[str, Any]) -> str:
    needs = card.get("needs")
    if needs is None or (isinstance(needs, list) and all(map(_is_requirement, needs))):
        return ""
    return f"card.needs must be a list of packages, as in [rich, 'numpy>=2']; got {needs!r}"


def _is_requirement(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(Requirement(text).name)
    except InvalidRequirement:
        return False


def _is_installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True  # not needed on this platform
    try:
        version = metadata.distribution(requirement.name).version
        return requirement.specifier.contains(version, prereleases=True)
    except (metadata.PackageNotFoundError, InvalidVersion):
        return False
