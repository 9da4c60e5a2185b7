"""The settings that a baseline reads; its cell has the defaults of all others.

So a sweep over a setting that a baseline does not read, such as the dropout of a stem, computes the
baseline once. Cards say what is read:

* `baselines` of a head: baseline → what it reads: "stem", and settings of the head. A list of names
  instead says nothing, so that every setting counts.
* `augmentation` of a stem: settings that only act in training, so no baseline reads them.
* `untrained` of a stem: true if its features mean nothing before training, so that baselines read
  the samples themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from quintain.compose.config import Composition, load_option
from quintain.compose.non_defaults import find_defaults


def reduce_to_baseline(composition: Composition, baseline: str) -> Composition:
    """Return the composition with the default of each setting that the baseline does not read."""
    baselines = (composition.config["head"].get("card") or {}).get("baselines")
    if not isinstance(baselines, Mapping):
        return composition
    reads = baselines[baseline] or []
    choices, nodes = find_defaults(composition)
    if not nodes:
        return composition  # every setting of stem and head has its default
    stem = composition.config["stem"].get("card") or {}
    if "stem" in reads and not stem.get("untrained"):
        dropped = stem.get("augmentation") or []
        composition = _set_defaults(composition, "stem", nodes["stem"], choices, dropped)
    elif "stem" in choices:
        names = composition.choices | {"stem": choices["stem"]}
        config = composition.config | {"stem": nodes["stem"]}
        composition = _without(replace(composition, config=config, choices=names), "stem")
    not_read = [name for name in composition.config["head"] if name not in (*reads, "card")]
    return _set_defaults(composition, "head", nodes["head"], choices, not_read)


def _set_defaults(
    composition: Composition,
    part: str,
    default_node: Mapping[str, Any],
    default_choices: Mapping[str, str],
    names: Collection[str],
) -> Composition:
    """Return the composition with the defaults of these settings of a part."""
    choice, node = composition.choices[part], composition.config[part]
    if default_choices.get(part) != choice:
        default_node = load_option(part, choice)
    defaults = {name: default_node[name] for name in names if name in default_node}
    config = composition.config | {part: node | defaults}
    return _without(replace(composition, config=config), *(f"{part}.{name}" for name in defaults))


def _without(composition: Composition, *keys: str) -> Composition:
    """Return the composition without these entries, and those below them, of `non_defaults`."""
    non_defaults = {
        name: value
        for name, value in composition.non_defaults.items()
        if not any(name == key or name.startswith(f"{key}.") for key in keys)
    }
    return replace(composition, non_defaults=non_defaults)
