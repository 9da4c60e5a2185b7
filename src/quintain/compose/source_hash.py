"""Hashes of the source code of plugins: an edited plugin gives other cell keys."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from quintain.errors import UsageError


def find_targets(node: Any) -> Iterator[str]:
    """Yield every `_target_` in a configuration node."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from find_targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from find_targets(value)


def hash_sources(node: dict[str, Any]) -> dict[str, str]:
    """Return target → source hash of every plugin in a node, without targets of the engine."""
    hashes = {target: source_hash(target) for target in find_targets(node)}
    return {target: value for target, value in hashes.items() if value}


@cache
def source_hash(target: str) -> str:
    """Return the SHA-256 of a plugin's source; the plugin is not imported.

    For a built-in plugin this is the hash of its file. For any other plugin it covers every .py
    file of the top-level package, because a helper module may change results too. For modules of
    Quintain itself it is "": `RESULTS_VERSION` identifies them.

    Raises:
        UsageError: there is no such module, or a package above it cannot be imported.
    """
    module = target.rpartition(".")[0]
    if module.startswith("quintain.") and not module.startswith("quintain.plugins."):
        return ""
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # a package above the module may raise anything
        raise UsageError(f"_target_ {target}: {type(error).__name__}: {error}") from error
    if spec is None or not spec.origin or not spec.has_location:
        raise UsageError(f"_target_ {target}: there is no module {module}")
    if not module.startswith("quintain.plugins."):
        package = sys.modules.get(module.partition(".")[0])
        roots = getattr(package, "__path__", None) or spec.submodule_search_locations or []
        file = Path(spec.origin)
        if root := next((root for root in roots if file.is_relative_to(root)), None):
            return package_hash(str(root))
    return hashlib.sha256(_read_source(spec.origin)).hexdigest()


@cache
def package_hash(folder: str) -> str:
    """Return the SHA-256 of the names and contents of all .py files below a folder or its links."""
    hasher = hashlib.sha256()
    for name, file in sorted(_python_files(Path(folder))):
        source = _read_source(file)
        hasher.update(f"\0{name}\0{len(source)}\0".encode() + source)
    return hasher.hexdigest()


def _python_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield relative name and path of each file, without hidden folders and site-packages.

    Links are followed, except to a folder that was visited before or that contains the root.
    """
    visited = {os.path.realpath(parent) for parent in root.absolute().parents}
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = sorted(
            f for f in subfolders if not f.startswith(".") and f != "site-packages"
        )
        if (real := os.path.realpath(folder)) in visited:
            subfolders.clear()
            continue
        visited.add(real)
        for file in (Path(folder, name) for name in files if name.endswith(".py")):
            if file.is_file():
                yield file.relative_to(root).as_posix(), file


def _read_source(file: str | Path) -> bytes:
    """Return a file's bytes with Unix line ends, because git may check it out with others."""
    return Path(file).read_bytes().replace(b"\r\n", b"\n")


def hash_standard_library_text(module: str) -> str:
    """Identify the version of a dataset that is text from the standard library.

    Args:
        module: `card.python_text`: a module, or `sys.version` if the text is from all modules.

    Returns:
        The SHA-256 of the module's source; for `sys.version` Python's implementation and version.

    Raises:
        UsageError: the standard library has no such module with a file.
    """
    if module == "sys.version":
        release = ".".join(map(str, sys.version_info))
        return f"{sys.implementation.name} {release}"
    is_standard = str(module).partition(".")[0] in sys.stdlib_module_names
    try:
        spec = importlib.util.find_spec(module) if is_standard else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.has_location:
        raise UsageError(f"card.python_text: Python has no module {module} with a file")
    return hashlib.sha256(_read_source(spec.origin)).hexdigest()
