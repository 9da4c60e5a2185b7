"""Where configuration and plugins come from: Quintain itself, installed packages, plain folders.

A package declares `[project.entry-points."quintain.plugins"] acme = "acme_quintain.conf"`.
A folder (`plugins_dir=` or `QUINTAIN_PLUGINS`, several joined by the path separator) holds
`conf/<group>/<name>.yaml` and `plugins/<group>/<name>.py`; its classes are imported as
`quintain_local.<group>.<name>`, a package whose path is all such folders.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin

from quintain.compose.errors import UsageError

ENTRY_POINTS = "quintain.plugins"
FOLDERS = "QUINTAIN_PLUGINS"
LOCAL_PACKAGE = "quintain_local"
GROUPS = ("dataset", "stem", "head", "model", "hardware", "budget", "optimizer", "suite", "tune")


@dataclass(frozen=True)
class Provider:
    """One source of plugins: a name for people, and the search path Hydra understands."""

    name: str
    path: str


def folders() -> list[Path]:
    """The plugin folders of `QUINTAIN_PLUGINS`, absolute; raises UsageError for a missing one."""
    named = [Path(p).expanduser() for p in os.environ.get(FOLDERS, "").split(os.pathsep) if p]
    missing = [f"plugins_dir: {p} is not a folder" for p in named if not p.is_dir()]
    if missing:
        raise UsageError(missing)
    return [p.resolve() for p in named]


def use_folder(folder: str) -> None:
    """Add a folder; kept in the environment, so that every process started later has it too."""
    known = [p for p in os.environ.get(FOLDERS, "").split(os.pathsep) if p]
    resolved = str(Path(folder).expanduser().resolve())
    if resolved not in known:
        os.environ[FOLDERS] = os.pathsep.join([*known, resolved])


def providers() -> list[Provider]:
    """All third-party providers, packages first, in a fixed order."""
    points = metadata.entry_points(group=ENTRY_POINTS)
    found = sorted(
        (Provider(_package_name(point), f"pkg://{point.value}") for point in points),
        key=lambda provider: provider.name,
    )
    for folder in folders():
        if (folder / "conf").is_dir():
            found.append(Provider(str(folder), f"file://{folder / 'conf'}"))
    return found


def _package_name(point: metadata.EntryPoint) -> str:
    """Distribution and package; the entry point's own name may be another's, or Hydra's."""
    return f"{point.dist.name if point.dist else point.name} ({point.value})"


def import_local() -> None:
    """Make `quintain_local` importable, its path being the `plugins` of every plugin folder."""
    package = sys.modules.get(LOCAL_PACKAGE) or ModuleType(LOCAL_PACKAGE)
    path = [str(folder / "plugins") for folder in folders()]
    if path != getattr(package, "__path__", path):  # what came from other folders is stale
        for name in [n for n in sys.modules if n.startswith(f"{LOCAL_PACKAGE}.")]:
            del sys.modules[name]
    package.__path__ = path
    sys.modules[LOCAL_PACKAGE] = package


class QuintainSearchPath(SearchPathPlugin):
    """Appends every provider to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for provider in providers():
            search_path.append(provider=provider.name, path=provider.path)


def register() -> None:
    """Tell Hydra of our search path. Explicit, because discovery fails in editable installs."""
    import_local()
    Plugins.instance().register(QuintainSearchPath)


def options() -> dict[str, dict[str, str]]:
    """Group → option → the provider it comes from.

    Raises UsageError naming both providers where two claim one option: Hydra would silently take
    the first on its path.
    """
    found: dict[str, dict[str, str]] = {group: {} for group in GROUPS}
    problems = []
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.provider in ("hydra", "schema"):
            continue
        if reason := _unavailable(source):
            problems.append(f"plugin provider {source.provider}: {reason}")
            continue
        for group in GROUPS:
            if not source.is_group(group):
                continue
            for option in _options_of(source, group):
                first = found[group].setdefault(option, source.provider)
                if first != source.provider:
                    problems.append(
                        f"{group}={option} is claimed by two plugin providers:"
                        f" {_named(first)} and {_named(source.provider)}; rename one of them"
                    )
    if problems:
        raise UsageError(problems)
    return found


def _options_of(source: ConfigSource, group: str) -> list[str]:
    """Options of a group, those in a folder of it as `folder/option`."""
    found = list(source.list(group, ObjectType.CONFIG))
    for folder in source.list(group, ObjectType.GROUP):
        inner = source.list(f"{group}/{folder}", ObjectType.CONFIG)
        found += [f"{folder}/{option}" for option in inner]
    return found


def _unavailable(source: ConfigSource) -> str:
    """Why a provider's configuration cannot be read, "" where it can."""
    try:
        if source.available():
            return ""
    except Exception as error:  # its package may raise anything when it is imported
        return f"{source.path} cannot be imported: {type(error).__name__}: {error}"
    return (
        f"{source.path} cannot be read; expected an importable package with an __init__.py,"
        " or a folder"
    )


def _named(provider: str) -> str:
    return "quintain" if provider == "main" else provider


def config_folders() -> dict[str, Path | None]:
    """Provider → the folder of its YAML files, or None where they are no plain files (a zip)."""
    found: dict[str, Path | None] = {}
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.provider in ("hydra", "schema"):
            continue
        if source.scheme() == "file":
            found[source.provider] = Path(source.path)
            continue
        spec = importlib.util.find_spec(source.path)
        places = [Path(place) for place in (spec and spec.submodule_search_locations) or []]
        found[source.provider] = places[0] if len(places) == 1 and places[0].is_dir() else None
    return found
