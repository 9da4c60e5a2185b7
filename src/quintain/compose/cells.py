"""A cell: one point of the grid with its whole configuration, and the key that names its result.

The key is a hash of what decides the result: the configuration without the places where things lie,
the source of every plugin, and `RESULTS_VERSION`. The same cell has the same key on every machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from quintain.compose.content import with_content
from quintain.compose.errors import UsageError
from quintain.compose.shared import Shared

RESULTS_VERSION = 2
"""Raised when the engine would give other numbers for the same configuration."""

PARTS = ("dataset", "stem", "head", "model", "optimizer", "budget", "hardware")
MEASURES = ("quality", "speed")
ALONE = {"times": "alone"}
"""What stands under `measure` in the configuration of a cell that nothing may run beside."""
KEY_LENGTH = 32  # hex digits: 128 bits


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What `python -m quintain.run cell.json` needs to know, and nothing else.

    Attributes:
        key: names the result.
        group: the key without the seed; repeats of one experiment share it.
        names: the option chosen in each group; a reference row's name stands under "model".
        seed: of initialisation and of the order of the samples.
        reference: name of the head's reference to compute instead of training, or None.
        config: the parts' configurations, cards included.
        sources: target → sha256 of its file, or of its package where that is not Quintain's.
        plugins: folders of plugins that the configuration may name.
        width: of the core, as preflight solved it from the budget; not part of the key, because
            the configuration decides it.
        changed: settings off their defaults, see `compose.changed`; not part of the key either.
        trial: of a trial of a search, what `run.trial` needs to know; such a cell never reads the
            test split and may end early, so that its key has the study in it.
        tuned: what a search found for this cell, for the record; not part of the key.
    """

    key: str
    group: str
    names: dict[str, str]
    seed: int
    reference: str | None
    config: dict[str, dict[str, Any]]
    sources: dict[str, str]
    plugins: list[str]
    width: float | None = None
    changed: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] | None = None
    tuned: dict[str, Any] | None = None

    @property
    def alone(self) -> bool:
        """`measure=speed`: nothing may run beside it. Its configuration says so, and its key."""
        return "measure" in self.config

    @property
    def label(self) -> str:
        """dataset/model/hardware/s1: for people; not unique."""
        names, alone = self.names, " alone" if self.alone else ""
        return f"{names['dataset']}/{names['model']}/{names['hardware']}{alone}/s{self.seed}"

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Cell:
        return cls(**json.loads(text))


def make_cell(
    config: dict[str, Any],
    names: dict[str, str],
    *,
    seed: int,
    reference: str | None = None,
    changed: dict[str, Any] | None = None,
    trial: dict[str, Any] | None = None,
    shared: Shared | None = None,
) -> Cell:
    """Freeze a resolved configuration. A reference row has no model, optimizer or budget.

    Args:
        config: all parts.
        names: the options chosen.
        seed: of the cell.
        reference: name of the head's reference to compute instead of training.
        changed: settings off their defaults.
        trial: of a search, see `Cell`.
        shared: keeps what this cell has in common with others.
    """
    shared = shared or Shared()
    parts = PARTS if reference is None else ("dataset", "stem", "head", "hardware")
    nodes = {part: shared.node(config[part]) for part in parts}
    if config.get("measure") == "speed" and reference is None and trial is None:
        nodes["measure"] = shared.node(ALONE)
    name = shared.name(nodes), tuple(names[part] for part in parts), reference
    alike = shared.once(name, lambda: _alike(nodes, names, reference, changed or {}, shared))
    key, group = keys(
        alike["config"],
        alike["sources"],
        seed=seed,
        reference=reference,
        study=(trial or {}).get("study"),
        shared=shared,
    )
    return Cell(key=key, group=group, seed=seed, reference=reference, trial=trial, **alike)


def _alike(
    nodes: dict[str, Any],
    names: dict[str, str],
    reference: str | None,
    changed: dict[str, Any],
    shared: Shared,
) -> dict[str, Any]:
    """What cells that differ in the seed alone have in common."""
    nodes = nodes | {"dataset": shared.node(shared.of(with_content, nodes["dataset"]))}
    sources = {target: text for node in nodes.values() for target, text in sources_of(node).items()}
    return {
        "names": {part: names[part] for part in nodes if part in PARTS}
        | ({"model": reference} if reference else {}),
        "config": nodes,
        "sources": sources,
        "plugins": [p for p in os.environ.get("QUINTAIN_PLUGINS", "").split(os.pathsep) if p],
        "changed": {k: v for k, v in changed.items() if k.split(".")[0] in nodes},
    }


def sources_of(node: dict[str, Any]) -> dict[str, str]:
    """Target → sha256 of its source, of every plugin that a node names."""
    found = {target: source_hash(target) for target in targets(node)}
    return {target: text for target, text in found.items() if text}


def keys(
    nodes: dict[str, dict[str, Any]],
    sources: dict[str, str],
    *,
    seed: int,
    reference: str | None,
    study: str | None = None,
    shared: Shared | None = None,
) -> tuple[str, str]:
    """Key and group of a cell with these parts; raises UsageError for a number that is none."""
    shared = shared or Shared()

    def text() -> tuple[dict[str, str], str]:
        if wrong := [*_not_finite("", {k: shared.of(deciding, n) for k, n in nodes.items()})]:
            raise UsageError(wrong)
        texts = {part: shared.of(_deciding_text, node) for part, node in nodes.items()}
        decides = {"results_version": RESULTS_VERSION, "reference": reference, "sources": sources}
        decides |= {} if study is None else {"study": study}
        texts |= {name: _json(value) for name, value in decides.items()}
        return texts, _digest(texts)

    name = "keys", shared.name(nodes), tuple(sources.items()), reference, study
    texts, group = shared.once(name, text)
    return _digest({**texts, "seed": _json(seed)}), group


def _not_finite(path: str, node: Any) -> Iterator[str]:
    if isinstance(node, float) and not math.isfinite(node):
        yield f"{path} must be a finite number, came {node}"
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _not_finite(f"{path}.{name}" if path else str(name), value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _not_finite(f"{path}[{index}]", value)


def targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a configuration node."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@cache
def source_hash(target: str) -> str:
    """sha256 of a plugin's source; "" for the engine, which `RESULTS_VERSION` covers.

    Of a built-in plugin that is its file, of any other every .py file of its top-level package:
    a helper beside it decides too. The file is found without importing it.
    Raises UsageError where there is none.
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
    return hashlib.sha256(_text(spec.origin)).hexdigest()


@cache
def package_hash(folder: str) -> str:
    """sha256 of every .py file under a folder, with its name; links are followed as imports do."""
    hasher = hashlib.sha256()
    for name, file in sorted(_modules(Path(folder))):
        text = _text(file)
        hasher.update(f"\0{name}\0{len(text)}\0".encode() + text)
    return hasher.hexdigest()


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of each. A link to a folder that has been seen, or that the root lies in, adds
    nothing, and nothing does that only stands by: hidden folders, installed packages.
    """
    seen = {os.path.realpath(above) for above in root.absolute().parents}
    for place, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "site-packages")
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        for file in (Path(place, name) for name in files if name.endswith(".py")):
            if file.is_file():
                yield file.relative_to(root).as_posix(), file


def _text(file: str | Path) -> bytes:
    return Path(file).read_bytes().replace(b"\r\n", b"\n")


def _python_text(module: str) -> str:
    """What tells the text that comes with this Python from that of another.

    sha256 of a module of the standard library that is itself the data; for `sys.version`, of which
    all modules are the data, implementation and version.
    """
    if module == "sys.version":
        release = ".".join(map(str, sys.version_info))
        return f"{sys.implementation.name} {release}"
    known = str(module).partition(".")[0] in sys.stdlib_module_names
    try:
        spec = importlib.util.find_spec(module) if known else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.has_location:
        raise UsageError(f"card.python_text: Python has no module {module} with a file")
    return hashlib.sha256(_text(spec.origin)).hexdigest()


def deciding(node: dict[str, Any]) -> dict[str, Any]:
    """Without the card, but with what it says of the data.

    Where the data lie does not matter if the card has their fingerprint or their content; else it
    is all that is known of them. A text that comes with Python (`card.python_text`) differs between
    releases. Settings that change no result (`card.neutral`) decide nothing.
    """
    card = node.get("card") or {}
    idle = {"card", *(card.get("neutral") or ())}
    kept = {k: v for k, v in node.items() if k not in idle}
    if fingerprint := card.get("fingerprint"):
        kept.pop("data_dir", None)
        kept["fingerprint"] = fingerprint
    for key, text in (card.get("content") or {}).items():  # the user's own files
        kept[key] = text
    if module := card.get("python_text"):
        kept["text"] = _python_text(module)
    return kept


def _deciding_text(node: dict[str, Any]) -> str:
    return _json(deciding(node))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(texts: dict[str, str]) -> str:
    """Of the JSON object that has these texts as its values, as `_json` would write it."""
    inside = ",".join(f"{_json(name)}:{texts[name]}" for name in sorted(texts))
    return hashlib.sha256(f"{{{inside}}}".encode()).hexdigest()[:KEY_LENGTH]
