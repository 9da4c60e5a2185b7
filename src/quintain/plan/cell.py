"""Defines a cell, one configuration with a seed, and the key under which its result is stored.

The key is a hash of everything that the result depends on: the configuration without the locations
of files, the source of every plugin, and `RESULTS_VERSION`. It is the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from quintain.compose.data_hash import add_content_hashes
from quintain.compose.settings import PARTS
from quintain.compose.source_hash import hash_sources, hash_standard_library_text
from quintain.errors import UsageError
from quintain.plan.interning import InternPool

RESULTS_VERSION = 3
"""Increased when a new version of Quintain gives other results for the same configuration."""

BASELINE_PARTS = ("dataset", "stem", "head", "hardware")
EXCLUSIVE_MEASURE = {"times": "alone"}
"""`Cell.config["measure"]` of a cell that must run alone."""
KEY_LENGTH = 32  # hex digits: 128 bits


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Everything that `python -m quintain.run cell.json` needs.

    Attributes:
        key: hash that names the result in a store.
        group: the key without the seed; cells that differ only in the seed share it.
        names: part → chosen option; for a baseline, `names["model"]` is its name.
        seed: of the initialisation and of the order of the samples.
        baseline: name of the head's baseline to compute instead of training a model, or None.
        config: part → configuration, including the card.
        sources: target → SHA-256 of its file, or of its package if that is not Quintain's.
        plugins: plugin folders that the configuration may need.
        width: of the model, solved by preflight; not part of the key, because it follows from the
            configuration.
        non_defaults: see `compose.non_defaults`; not part of the key.
        trial: for a trial of a search, the settings of `run.optuna_storage.TrialJournal`. Such a
            cell never reads the test split and may end early, so its key includes the study.
        tuned: summary of the search that chose the settings, for the record; not part of the key.
        variant: the settings that differ from those of other cells of a plan with the same options,
            for messages; not part of the key.
    """

    key: str
    group: str
    names: dict[str, str]
    seed: int
    baseline: str | None
    config: dict[str, dict[str, Any]]
    sources: dict[str, str]
    plugins: list[str]
    width: float | None = None
    non_defaults: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] | None = None
    tuned: dict[str, Any] | None = None
    variant: str = ""

    @property
    def exclusive(self) -> bool:
        """Whether the cell must run alone (`measure=speed`); this is part of the key."""
        return "measure" in self.config

    @property
    def label(self) -> str:
        """`dataset/model/hardware/s1`, for messages, and `variant` if there is one."""
        return make_label(self.names, self.seed, self.variant, alone=self.exclusive)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Cell:
        return cls(**json.loads(text))


def make_label(names: Mapping[str, str], seed: int, variant: str = "", *, alone: bool) -> str:
    """Return the label of a cell with these options."""
    options = f"{names['dataset']}/{names['model']}/{names['hardware']}"
    return f"{options}{' alone' if alone else ''}/s{seed}{' ' if variant else ''}{variant}"


def make_cell(
    config: dict[str, Any],
    names: dict[str, str],
    *,
    seed: int,
    baseline: str | None = None,
    non_defaults: dict[str, Any] | None = None,
    trial: dict[str, Any] | None = None,
    pool: InternPool | None = None,
) -> Cell:
    """Make the cell of a resolved configuration; a baseline has no model, optimizer or budget.

    The arguments are the attributes of `Cell`; `pool` stores what cells have in common.

    Raises:
        UsageError: a number is not finite, or a plugin or a data file does not exist.
    """
    pool = pool or InternPool()
    parts = PARTS if baseline is None else BASELINE_PARTS
    nodes = {part: pool.intern(config[part]) for part in parts}
    if config.get("measure") == "speed" and baseline is None and trial is None:
        nodes["measure"] = pool.intern(EXCLUSIVE_MEASURE)
    identity = pool.identity(nodes), tuple(names[part] for part in parts), baseline
    seedless = pool.compute_once(
        identity, lambda: _seedless_fields(nodes, names, baseline, non_defaults or {}, pool)
    )
    key, group = compute_keys(
        seedless["config"],
        seedless["sources"],
        seed=seed,
        baseline=baseline,
        study=(trial or {}).get("study"),
        pool=pool,
    )
    return Cell(key=key, group=group, seed=seed, baseline=baseline, trial=trial, **seedless)


def _seedless_fields(
    nodes: dict[str, Any],
    names: dict[str, str],
    baseline: str | None,
    non_defaults: dict[str, Any],
    pool: InternPool,
) -> dict[str, Any]:
    """Return the fields that do not depend on the seed."""
    dataset = pool.intern(pool.apply(add_content_hashes, nodes["dataset"]))
    nodes = nodes | {"dataset": dataset}
    return {
        "names": {part: names[part] for part in nodes if part in PARTS}
        | ({"model": baseline} if baseline else {}),
        "config": nodes,
        "sources": hash_sources(nodes),
        "plugins": [p for p in os.environ.get("QUINTAIN_PLUGINS", "").split(os.pathsep) if p],
        "non_defaults": {k: v for k, v in non_defaults.items() if k.split(".")[0] in nodes},
    }


def compute_keys(
    nodes: dict[str, dict[str, Any]],
    sources: dict[str, str],
    *,
    seed: int,
    baseline: str | None,
    study: str | None = None,
    pool: InternPool | None = None,
) -> tuple[str, str]:
    """Return key and group of a cell with these parts.

    Raises:
        UsageError: a setting is a number that is not finite.
    """
    pool = pool or InternPool()

    def encode() -> tuple[dict[str, str], str]:
        settings = {part: pool.apply(result_settings, node) for part, node in nodes.items()}
        if problems := [*_not_finite("", settings)]:
            raise UsageError(problems)
        encoded = {part: pool.apply(_encode, node) for part, node in settings.items()}
        # Keys of stored records were computed with the entry "reference", the old name of baseline.
        common = {"results_version": RESULTS_VERSION, "reference": baseline, "sources": sources}
        common |= {} if study is None else {"study": study}
        encoded |= {name: _encode(value) for name, value in common.items()}
        return encoded, _hash_object(encoded)

    identity = "keys", pool.identity(nodes), tuple(sources.items()), baseline, study
    encoded, group = pool.compute_once(identity, encode)
    return _hash_object({**encoded, "seed": _encode(seed)}), group


def _not_finite(path: str, node: Any) -> Iterator[str]:
    if isinstance(node, float) and not math.isfinite(node):
        yield f"{path} must be a finite number, got {node}"
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _not_finite(f"{path}.{name}" if path else str(name), value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _not_finite(f"{path}[{index}]", value)


def result_settings(node: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a part that its result depends on, for the key.

    The card is left out, but some of its entries change the settings:

    * `fingerprint` of the data replaces `data_dir`, which otherwise stands for the data.
    * `content`, the hashes of the user's own files, replaces their paths.
    * `python_text` adds the hash of a text of the standard library, which differs between releases.
    * `neutral` lists settings that do not change results; they are left out.
    """
    card = node.get("card") or {}
    ignored = {"card", *(card.get("neutral") or ())}
    settings = {key: value for key, value in node.items() if key not in ignored}
    if fingerprint := card.get("fingerprint"):
        settings.pop("data_dir", None)
        settings["fingerprint"] = fingerprint
    settings |= card.get("content") or {}
    if module := card.get("python_text"):
        settings["text"] = hash_standard_library_text(module)
    return settings


def _encode(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash_object(encoded: dict[str, str]) -> str:
    """Hash the JSON object with these values, which `_encode` has encoded already."""
    inside = ",".join(f"{_encode(name)}:{encoded[name]}" for name in sorted(encoded))
    return hashlib.sha256(f"{{{inside}}}".encode()).hexdigest()[:KEY_LENGTH]
