"""What a search may choose from: intervals and choices of settings, read from words and YAML."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override

from quintain.compose.cells import PARTS
from quintain.compose.errors import UsageError, nearest

SEARCHED = ("optimizer", "model", "stem", "head")
"""Parts whose settings may be searched; the others are what a comparison fixes."""

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
KEYS = ("low", "high", "log", "choices")
DIGITS = 4  # significant: a setting that nobody can read is of no use
Config = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One setting and where it may lie: from `low` to `high`, or one of `choices`."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As the YAML has it."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high} | ({"log": True} if self.log else {})

    def ends(self) -> tuple[Any, ...]:
        """The extremes, or all there is to choose from."""
        return self.choices or (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Whether a value lies in it."""
        if self.choices:
            return value in self.choices
        return type(value) in (int, float) and self.low <= value <= self.high

    def tidy(self, value: Any) -> Any:
        """A value that was drawn, with four significant digits."""
        if not isinstance(value, float):
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


def interval_words(overrides: Sequence[Override]) -> dict[str, dict[str, Any]]:
    """Setting → interval or choices, of words such as `model.dropout='interval(0,0.3)'`.

    `a.b=1,2` sweeps a grid; `a.b=choice(1,2)` is searched, unless it names options of a group.
    """
    found: dict[str, dict[str, Any]] = {}
    for override in overrides:
        value, key = override.value(), override.key_or_group
        if isinstance(value, IntervalSweep):
            log = {"log": True} if "log" in value.tags else {}
            found[key] = {"low": value.start, "high": value.end, **log}
        elif isinstance(value, ChoiceSweep) and not value.simple_form and "." in key:
            found[key] = {"choices": [getattr(v, "text", v) for v in value.list]}
    return found


def read_space(
    config: Mapping[str, Any], said: Mapping[str, dict[str, Any]], fixed: set[str]
) -> tuple[Dimension, ...]:
    """The dimensions of one configuration: its own, what its parts' cards add, and what was said.

    Args:
        config: composed, with `tune.space`.
        said: of the command line, which wins.
        fixed: settings that the command line gives a value.

    Raises:
        UsageError: every interval that is none, and a space with nothing in it.
    """
    nodes = dict(_leaves("", config["tune"]["space"] or {}))
    for part in PARTS:
        own = (config[part].get("card") or {}).get("tune")
        nodes |= dict(_leaves(f"{part}.", own or {}))
    nodes = {name: node for name, node in (nodes | dict(said)).items() if node is not None}
    problems = [text for name, node in nodes.items() for text in _wrong(name, node, config)]
    problems += [
        f"{name} is given a value and searched too (tune.space.{name}); leave out one:"
        f" tune.space.{name}=null"
        for name in nodes
        if name in fixed
    ]
    if not nodes:
        problems.append("tune.space is empty: there is nothing to search")
    if problems:
        raise UsageError(problems)
    return tuple(_dimension(name, node, config) for name, node in sorted(nodes.items()))


def _leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Dotted name → what stands there, down to intervals and choices."""
    if not isinstance(node, Mapping) or (node and set(node) <= set(KEYS)):
        yield path.rstrip("."), node
        return
    for key, value in node.items():
        yield from _leaves(f"{path}{key}.", value)


def _wrong(name: str, node: Any, config: Mapping[str, Any]) -> Iterator[str]:
    where = f"tune.space.{name}"
    part, _, setting = name.partition(".")
    if part not in SEARCHED or not setting:
        yield (
            f"{where}: only settings of {', '.join(SEARCHED)} can be searched; the rest is what a"
            " comparison fixes"
        )
    elif _standing(config, name) is _NOWHERE:
        yield f"{where}: {name.rpartition('.')[0]} has no settings"
    if not isinstance(node, Mapping) or ("choices" in node) == bool({"low", "high"} & set(node)):
        yield f"{where}: expected low and high, or choices; came {_shown(node)}"
    elif "choices" in node:
        yield from _wrong_choices(where, node["choices"])
    else:
        yield from _wrong_bounds(where, node, _is_whole(_standing(config, name)))


def _wrong_choices(where: str, choices: Any) -> Iterator[str]:
    plain = isinstance(choices, list) and all(
        value is None or isinstance(value, str | int | float) for value in choices
    )
    if not plain or len({str(value) for value in choices}) < 2:
        yield f"{where}: choices must be two or more different plain values, came {choices!r}"


def _wrong_bounds(where: str, node: Mapping[str, Any], whole: bool) -> Iterator[str]:
    low, high, log = node.get("low"), node.get("high"), node.get("log", False)
    if not (_is_number(low) and _is_number(high)):
        yield f"{where}: low and high must be numbers, came low {low}, high {high}"
        return
    if not low < high:  # type: ignore[operator]
        yield f"{where}: low must be below high, came low {low}, high {high}"
    if not isinstance(log, bool):
        yield f"{where}: log must be true or false, came {log!r}"
    elif log and low <= 0:  # type: ignore[operator]
        yield f"{where}: low must be above 0 where log is true, came {low}"
    if whole and (low % 1 or high % 1):  # type: ignore[operator]
        yield f"{where}: the setting is a whole number; so must be low {low} and high {high}"


def _dimension(name: str, node: Mapping[str, Any], config: Mapping[str, Any]) -> Dimension:
    if "choices" in node:
        return Dimension(name=name, choices=tuple(node["choices"]))
    standing, (low, high) = _standing(config, name), (node["low"], node["high"])
    unknown = standing is None or standing is _MISSING
    whole = _is_whole(standing) or (unknown and _is_whole(low) and _is_whole(high))
    kind = int if whole else float
    return Dimension(
        name=name, low=kind(low), high=kind(high), log=node.get("log", False), whole=whole
    )


_NOWHERE, _MISSING = object(), object()


def _standing(config: Mapping[str, Any], name: str) -> Any:
    """What a setting is now; `_MISSING`: its node does not state it; `_NOWHERE`: no such node."""
    *above, last = name.split(".")
    node: Any = config
    for step in above:
        node = node.get(step, _NOWHERE) if isinstance(node, Mapping) else _NOWHERE
    return node.get(last, _MISSING) if isinstance(node, Mapping) else _NOWHERE


def defaults(config: Mapping[str, Any], space: Sequence[Dimension]) -> dict[str, Any]:
    """The settings as they stand, {} unless each lies in the space: a first trial."""
    found = {dimension.name: _standing(config, dimension.name) for dimension in space}
    return found if all(d.holds(found[d.name]) for d in space) else {}


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration with these settings; the rest as it was frozen."""
    made = dict(config)
    for part in {name.partition(".")[0] for name in values}:
        made[part] = copy.deepcopy(config[part])
    for name, value in values.items():
        *above, last = name.split(".")
        node = made
        for step in above:
            node = node[step]
        node[last] = value
    return made


def corners(config: Mapping[str, Any], space: Sequence[Dimension]) -> list[dict[str, Any]]:
    """Settings that show whether a space fits: all low, all high, and each alone at its ends."""
    found = [{d.name: d.ends()[at] for d in space} for at in (0, -1)]
    found += [{d.name: end} for d in space for end in d.ends()]
    return found


def wrong_search(tune: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings of a search besides its space."""
    found = []
    for name, least in (("trials", 1), ("startup", 1), ("seed", 0)):
        value = tune[name]
        if type(value) is not int or not least <= value < 2**31:
            found.append(f"tune.{name} must be a whole number from {least}, came {value!r}")
    for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if tune[name] not in known:
            found.append(
                f"tune.{name}={tune[name]}: there is none{nearest(str(tune[name]), known)}"
            )
    if tune["space"] is not None and not isinstance(tune["space"], Mapping):
        found.append(f"tune.space has settings and no value; came {tune['space']!r}")
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _shown(node: Any) -> str:
    return repr(dict(node)) if isinstance(node, Mapping) else repr(node)
