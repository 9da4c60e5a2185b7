"""Reads the space of a search: ranges and choices of settings in YAML files and overrides."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override

from quintain.compose.settings import PARTS
from quintain.errors import UsageError, nearest

SEARCHED_PARTS = ("optimizer", "model", "stem", "head")
"""Parts whose settings may be searched; models are compared with equal settings of the others."""

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
RANGE_KEYS = {"low", "high", "log", "choices"}
SIGNIFICANT_DIGITS = 4  # of sampled values, so that they are easy to read
_NO_NODE, _UNSET = object(), object()


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One setting and its range: from `low` to `high`, or one of `choices`."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    is_int: bool = False
    choices: tuple[Any, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return the range in the form of `tune.space`, such as `{"low": 0.0, "high": 0.3}`."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high} | ({"log": True} if self.log else {})

    def extremes(self) -> tuple[Any, ...]:
        """Return both ends of the range, or all choices."""
        return self.choices or (self.low, self.high)

    def contains(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        return type(value) in (int, float) and self.low <= value <= self.high

    def round(self, value: Any) -> Any:
        """Round a sampled value to four significant digits."""
        if not isinstance(value, float):
            return value
        return min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), self.low), self.high)


def read_interval_overrides(overrides: Sequence[Override]) -> dict[str, dict[str, Any]]:
    """Return setting → range for overrides such as `model.dropout='interval(0,0.3)'`.

    `a.b=choice(1,2)` is searched; `a.b=1,2` is swept as a grid. A config group, which has no dot in
    its name, is always swept: `model=choice(lstm,gru)` is the same as `model=lstm,gru`.
    """
    ranges: dict[str, dict[str, Any]] = {}
    for override in overrides:
        value, key = override.value(), override.key_or_group
        if isinstance(value, IntervalSweep):
            log = {"log": True} if "log" in value.tags else {}
            ranges[key] = {"low": value.start, "high": value.end, **log}
        elif isinstance(value, ChoiceSweep) and not value.simple_form and "." in key:
            ranges[key] = {"choices": [getattr(item, "text", item) for item in value.list]}
    return ranges


def read_space(
    config: Mapping[str, Any], override_ranges: Mapping[str, dict[str, Any]], fixed: set[str]
) -> tuple[Dimension, ...]:
    """Return the dimensions of `tune.space`, of `card.tune` of the parts, and of overrides.

    The `override_ranges` replace all others. `fixed` are settings that have a value in an override.

    Raises:
        UsageError: with a message for each range that is not valid; or the space is empty.
    """
    space = config["tune"]["space"] or {}
    if not isinstance(space, Mapping):
        raise UsageError(f"tune.space must be a table of settings, got {space!r}")
    ranges: dict[str, Any] = {}
    for part in PARTS:
        card_space = (config[part].get("card") or {}).get("tune")
        ranges |= dict(_find_ranges(f"{part}.", card_space or {}))
    ranges |= dict(_find_ranges("", space))
    ranges |= override_ranges
    ranges = {name: node for name, node in ranges.items() if node is not None}
    problems = [text for name, node in ranges.items() for text in _check(name, node, config)]
    problems += [
        f"{name} is both set by an override and searched (tune.space.{name}); leave out the"
        f" override, or set tune.space.{name}=null"
        for name in ranges
        if name in fixed
    ]
    if not ranges:
        problems.append("tune.space is empty: there is nothing to search")
    if problems:
        raise UsageError(problems)
    return tuple(_make_dimension(name, node, config) for name, node in sorted(ranges.items()))


def _find_ranges(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Yield dotted name and range (or another value, which is not valid) of each setting."""
    if not isinstance(node, Mapping) or (node and set(node) <= RANGE_KEYS):
        yield path.rstrip("."), node
        return
    for key, value in node.items():
        yield from _find_ranges(f"{path}{key}.", value)


def _check(name: str, node: Any, config: Mapping[str, Any]) -> Iterator[str]:
    path = f"tune.space.{name}"
    part, _, setting = name.partition(".")
    current = get_value(config, name)
    if part not in SEARCHED_PARTS or not setting:
        yield (
            f"{path}: only settings of {', '.join(SEARCHED_PARTS)} can be searched; models are"
            " compared with equal settings of the other parts"
        )
    elif current is _NO_NODE:
        yield f"{path}: {name.rpartition('.')[0]} has no settings"
    if not isinstance(node, Mapping) or ("choices" in node) == bool({"low", "high"} & set(node)):
        shown = dict(node) if isinstance(node, Mapping) else node
        yield f"{path}: expected low and high, or choices; got {shown!r}"
    elif "choices" in node:
        yield from _check_choices(path, node["choices"])
    else:
        yield from _check_bounds(path, node, type(current) is int)


def _check_choices(path: str, choices: Any) -> Iterator[str]:
    is_plain = isinstance(choices, list) and all(
        value is None or isinstance(value, str | int | float) for value in choices
    )
    if not is_plain or len({str(value) for value in choices}) < 2:
        yield f"{path}: choices must be two or more different plain values, got {choices!r}"


def _check_bounds(path: str, node: Mapping[str, Any], is_int: bool) -> Iterator[str]:
    low, high, log = node.get("low"), node.get("high"), node.get("log", False)
    if not (_is_finite(low) and _is_finite(high)):
        yield f"{path}: low and high must be numbers, got low {low}, high {high}"
        return
    if not low < high:  # type: ignore[operator]
        yield f"{path}: low must be below high, got low {low}, high {high}"
    if not isinstance(log, bool):
        yield f"{path}: log must be true or false, got {log!r}"
    elif log and low <= 0:  # type: ignore[operator]
        yield f"{path}: low must be above 0 where log is true, got {low}"
    if is_int and (low % 1 or high % 1):  # type: ignore[operator]
        yield f"{path}: the setting is a whole number, so low {low} and high {high} must be too"


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _make_dimension(name: str, node: Mapping[str, Any], config: Mapping[str, Any]) -> Dimension:
    if "choices" in node:
        return Dimension(name=name, choices=tuple(node["choices"]))
    current, low, high = get_value(config, name), node["low"], node["high"]
    is_unknown = current is None or current is _UNSET
    is_int = type(current) is int or (is_unknown and type(low) is type(high) is int)
    kind = int if is_int else float
    return Dimension(
        name=name, low=kind(low), high=kind(high), log=node.get("log", False), is_int=is_int
    )


def get_value(config: Mapping[str, Any], name: str) -> Any:
    """Return the value of `a.b.c`, `_UNSET` if `a.b` has no `c`, or `_NO_NODE` without `a.b`."""
    *parents, last = name.split(".")
    node: Any = config
    for key in parents:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node.get(last, _UNSET) if isinstance(node, Mapping) else _NO_NODE


def set_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the configuration with these settings."""
    copied = copy.deepcopy(dict(config))
    for name, value in values.items():
        *parents, last = name.split(".")
        node = copied
        for key in parents:
            node = node[key]
        node[last] = value
    return copied


def corner_values(space: Sequence[Dimension]) -> list[dict[str, Any]]:
    """Return extreme settings, which must all be buildable.

    These are: all settings at their low ends, all at their high ends, and each setting alone at
    each of its ends.
    """
    corners = [{d.name: d.extremes()[index] for d in space} for index in (0, -1)]
    return corners + [{d.name: end} for d in space for end in d.extremes()]


def find_search_problems(tune: Mapping[str, Any]) -> list[str]:
    """Return a message for each problem of the settings in `tune`, except those of `tune.space`."""
    problems = []
    for name, minimum in (("trials", 1), ("startup", 1), ("seed", 0)):
        value = tune[name]
        if type(value) is not int or not minimum <= value < 2**31:
            problems.append(f"tune.{name} must be a whole number from {minimum}, got {value!r}")
    for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if tune[name] not in known:
            hint = nearest(str(tune[name]), known)
            problems.append(f"tune.{name}={tune[name]}: there is no such {name}{hint}")
    return problems
