"""Finds the providers of plugins: Quintain itself, installed packages, and folders.

A package declares `[project.entry-points."quintain.plugins"] acme = "acme_quintain.conf"`.
A folder (`plugins_dir=`, or `QUINTAIN_PLUGINS` with one or more paths) contains
`conf/<group>/<name>.yaml` and `plugins/<group>/<name>.py`. The modules of all such folders are
imported from one package, as `quintain_local.<group>.<name>`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
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

from quintain.compose.store_setting import read_location
from quintain.errors import UsageError

ENTRY_POINTS = "quintain.plugins"
FOLDERS_VARIABLE = "QUINTAIN_PLUGINS"
LOCAL_PACKAGE = "quintain_local"
GROUPS = ("dataset", "stem", "head", "model", "hardware", "budget", "optimizer", "suite", "tune")


@dataclass(frozen=True)
class Provider:
    """A name for messages, and the entry in Hydra's search path."""

    name: str
    path: str


def _folder_names() -> list[str]:
    return [name for name in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if name]


def plugin_folders() -> list[Path]:
    """Return the plugin folders of `QUINTAIN_PLUGINS` as absolute paths.

    Raises:
        UsageError: a folder does not exist.
    """
    folders = [Path(name).expanduser() for name in _folder_names()]
    if missing := [f"plugins_dir: {f} is not a folder" for f in folders if not f.is_dir()]:
        raise UsageError(missing)
    return [folder.resolve() for folder in folders]


def add_plugin_folder(folder: str) -> None:
    """Add a folder to the environment, so that every process started later has it too."""
    names, resolved = _folder_names(), str(Path(folder).expanduser().resolve())
    if resolved not in names:
        os.environ[FOLDERS_VARIABLE] = os.pathsep.join([*names, resolved])


def add_plugin_folders(overrides: Iterable[str]) -> None:
    """Add the folders that `plugins_dir=` overrides name, as `add_plugin_folder` does."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "plugins_dir" and value not in ("", "null"):
            add_plugin_folder(read_location(value))


def find_providers() -> list[Provider]:
    """Return all providers except Quintain, first the packages by name, then the folders."""
    points = metadata.entry_points(group=ENTRY_POINTS)
    packages = [Provider(_package_name(point), f"pkg://{point.value}") for point in points]
    return sorted(packages, key=lambda provider: provider.name) + [
        Provider(str(folder), f"file://{folder / 'conf'}")
        for folder in plugin_folders()
        if (folder / "conf").is_dir()
    ]


def _package_name(point: metadata.EntryPoint) -> str:
    """Return distribution and package, because names of entry points need not be unique."""
    return f"{point.dist.name if point.dist else point.name} ({point.value})"


def register_local_plugins() -> None:
    """Make `quintain_local` importable from the `plugins` folder of every plugin folder."""
    package = sys.modules.get(LOCAL_PACKAGE) or ModuleType(LOCAL_PACKAGE)
    path = [str(folder / "plugins") for folder in plugin_folders()]
    if path != getattr(package, "__path__", path):  # unload the modules of other folders
        for name in [n for n in sys.modules if n.startswith(f"{LOCAL_PACKAGE}.")]:
            del sys.modules[name]
    package.__path__ = path
    sys.modules[LOCAL_PACKAGE] = package


class QuintainSearchPath(SearchPathPlugin):
    """Appends every provider to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for provider in find_providers():
            search_path.append(provider=provider.name, path=provider.path)


def register_search_path() -> None:
    """Add all providers to Hydra's search path; its plugin discovery fails in editable installs."""
    register_local_plugins()
    Plugins.instance().register(QuintainSearchPath)


def _sources() -> list[ConfigSource]:
    """Return the sources on Hydra's search path, except Hydra's own."""
    sources = GlobalHydra.instance().config_loader().get_sources()
    return [source for source in sources if source.provider not in ("hydra", "schema")]


def available_options() -> dict[str, dict[str, str]]:
    """Return group → option → provider.

    Raises:
        UsageError: a provider cannot be read, or two providers have an option of the same name, of
            which Hydra would silently use the first.
    """
    options: dict[str, dict[str, str]] = {group: {} for group in GROUPS}
    problems = []
    for source in _sources():
        if reason := _explain_unavailable(source):
            problems.append(f"plugin provider {source.provider}: {reason}")
            continue
        for group in filter(source.is_group, GROUPS):
            for option in _list_options(source, group):
                first = options[group].setdefault(option, source.provider)
                if first != source.provider:
                    problems.append(
                        f"{group}={option} comes from two plugin providers:"
                        f" {_display_name(first)} and {_display_name(source.provider)};"
                        " rename one of the options"
                    )
    if problems:
        raise UsageError(problems)
    return options


def _list_options(source: ConfigSource, group: str) -> list[str]:
    """Return the options of a group; an option in a subfolder is `folder/option`."""
    options = list(source.list(group, ObjectType.CONFIG))
    for folder in source.list(group, ObjectType.GROUP):
        inner = source.list(f"{group}/{folder}", ObjectType.CONFIG)
        options += [f"{folder}/{option}" for option in inner]
    return options


def _explain_unavailable(source: ConfigSource) -> str:
    """Return why a provider's configuration cannot be read, or ""."""
    try:
        if source.available():
            return ""
    except Exception as error:  # importing its package may raise anything
        return f"{source.path} cannot be imported: {type(error).__name__}: {error}"
    return (
        f"{source.path} cannot be read; expected an importable package with an __init__.py,"
        " or a folder"
    )


def _display_name(provider: str) -> str:
    return "quintain" if provider == "main" else provider


def find_examples(group: str, option: str) -> list[str]:
    """Return the example commands in the comments at the top of an option's YAML file."""
    folder = config_folders().get(available_options()[group].get(option, ""))
    file = folder / group / f"{option}.yaml" if folder else None
    if file is None or not file.is_file():
        return []
    comments = (line for line in file.read_text().splitlines() if line.startswith("#"))
    texts = (line.lstrip("# ") for line in comments if f"{group}={option} " in line)
    return [f"for example: {' '.join(text.split())}" for text in texts]


def config_folders() -> dict[str, Path | None]:
    """Return provider → folder of its YAML files, or None if they are in a zip file."""
    folders: dict[str, Path | None] = {}
    for source in _sources():
        if source.scheme() == "file":
            folders[source.provider] = Path(source.path)
            continue
        spec = importlib.util.find_spec(source.path)
        paths = [Path(path) for path in (spec and spec.submodule_search_locations) or []]
        folders[source.provider] = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    return folders
