"""A cell: one point of the grid with its whole configuration, and the key that names its result.

The key is a hash of what decides the result: the configuration without the places where things lie,
the source of every plugin, and `RESULTS_VERSION`. The same cell has the same key on every machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from quintain.compose.errors import UsageError

RESULTS_VERSION = 1
"""Raised when the engine would give other numbers for the same configuration."""

PARTS = ("dataset", "stem", "head", "model", "optimizer", "budget", "hardware")
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
        sources: target → sha256 of its file.
        plugins: folders of plugins that the configuration may name.
        width: of the core, as preflight solved it from the budget; not part of the key, because
            the configuration decides it.
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

    @property
    def label(self) -> str:
        """dataset/model/hardware/s1: for people; not unique."""
        names = self.names
        return f"{names['dataset']}/{names['model']}/{names['hardware']}/s{self.seed}"

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Cell:
        return cls(**json.loads(text))


def make_cell(
    config: dict[str, Any], names: dict[str, str], *, seed: int, reference: str | None = None
) -> Cell:
    """Freeze a resolved configuration. A reference row has no model, optimizer or budget."""
    parts = PARTS if reference is None else ("dataset", "stem", "head", "hardware")
    nodes = {part: config[part] for part in parts}
    sources = {target: source_hash(target) for node in nodes.values() for target in targets(node)}
    decides: dict[str, Any] = {
        "results_version": RESULTS_VERSION,
        "reference": reference,
        "sources": {t: h for t, h in sources.items() if h},
        **{part: deciding(node) for part, node in nodes.items()},
    }
    names = {part: names[part] for part in parts} | ({"model": reference} if reference else {})
    return Cell(
        key=_digest({**decides, "seed": seed}),
        group=_digest(decides),
        names=names,
        seed=seed,
        reference=reference,
        config=nodes,
        sources=decides["sources"],
        plugins=[p for p in os.environ.get("QUINTAIN_PLUGINS", "").split(os.pathsep) if p],
    )


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
    """sha256 of the file that defines a plugin; "" for the engine, which `RESULTS_VERSION` covers.

    The file is found without importing it. Raises UsageError where there is none.
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
    text = Path(spec.origin).read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(text).hexdigest()


def deciding(node: dict[str, Any]) -> dict[str, Any]:
    """Without the card (but its fingerprint) and without where the data lie."""
    kept = {k: v for k, v in node.items() if k not in ("card", "data_dir")}
    fingerprint = (node.get("card") or {}).get("fingerprint")
    return kept | ({"fingerprint": fingerprint} if fingerprint else {})


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
