"""What cells of one plan share is kept and computed once: ten thousand cells are small then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Shared:
    """Parts of configurations, each kept once, and what was computed of them.

    A part must not be changed as long as this object lives.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, dict[str, Any]] = {}
        self._by_text: dict[str, dict[str, Any]] = {}
        self._known: dict[Any, Any] = {}

    def node(self, node: dict[str, Any]) -> dict[str, Any]:
        """The first node that was equal to this one."""
        if id(node) in self._nodes and self._nodes[id(node)] is node:
            return node
        first = self._by_text.setdefault(json.dumps(node, sort_keys=True), node)
        self._nodes[id(first)] = first  # keeps it alive, so that its id stays its own
        return first

    def of(self, function: Callable[[dict[str, Any]], T], node: dict[str, Any]) -> T:
        """`function(node)`, computed once for all nodes that are equal."""
        first = self.node(node)
        key = function, id(first)
        if key not in self._known:
            self._known[key] = function(first)
        found: T = self._known[key]
        return found

    def once(self, name: Any, make: Callable[[], T]) -> T:
        """`make()`, called once for each name."""
        if name not in self._known:
            self._known[name] = make()
        found: T = self._known[name]
        return found

    def name(self, nodes: Mapping[str, dict[str, Any]]) -> tuple[tuple[str, int], ...]:
        """A name for a set of parts; equal parts have the same."""
        return tuple((part, id(self.node(node))) for part, node in nodes.items())
