"""Stores equal parts of configurations once, so that a plan of ten thousand cells stays small."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class InternPool:
    """A cache of configuration parts, and of results that were computed from them.

    A part must not be changed while the pool exists.
    """

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, Any]] = {}  # by id; the reference keeps the id unique
        self._by_json: dict[str, dict[str, Any]] = {}
        self._results: dict[Hashable, Any] = {}

    def intern(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return the stored part that is equal to this one, which is stored if there is none."""
        if id(part) in self._parts:
            return part
        stored = self._by_json.setdefault(json.dumps(part, sort_keys=True), part)
        self._parts[id(stored)] = stored
        return stored

    def apply(self, function: Callable[[dict[str, Any]], T], part: dict[str, Any]) -> T:
        """Return `function(part)`, computed once for all parts that are equal."""
        stored = self.intern(part)
        return self.compute_once((function, id(stored)), lambda: function(stored))

    def compute_once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return `compute()`, called only once for each key."""
        if key not in self._results:
            self._results[key] = compute()
        result: T = self._results[key]
        return result

    def identity(self, parts: Mapping[str, dict[str, Any]]) -> tuple[tuple[str, int], ...]:
        """Return a hashable key that is the same for equal mappings."""
        return tuple((name, id(self.intern(part))) for name, part in parts.items())
