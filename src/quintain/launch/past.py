"""What earlier records tell of cost, read without parsing them whole: a record takes 100 kB."""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any

from quintain.compose.estimate import Past, like
from quintain.records.schema import Record
from quintain.records.store import Store

WANTED = ("group", "status", "names", "cell", "cost")


def past(store: Store, wanted: Container[tuple[Any, ...]]) -> list[Past]:
    """Of the finished runs whose `like(names)` is wanted; what cannot be read tells nothing."""
    found = []
    for file in store.files():
        try:
            lines = _lines(file.read_bytes())
            if (
                json.loads(lines["status"]) != "ok"
                or like(json.loads(lines["names"])) not in wanted
            ):
                continue
            found.append(_past({name: json.loads(text) for name, text in lines.items()}))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def past_of(record: Record) -> Past:
    """The same of a record in memory."""
    return _past(record.dump())


def _lines(text: bytes) -> dict[str, bytes]:
    """The wanted fields of `Record.to_json`, which has one top-level field a line."""
    found = {}
    for name in WANTED:
        mark = f'\n "{name}": '.encode()
        start = text.index(mark) + len(mark)
        found[name] = text[start : text.index(b"\n", start)].removesuffix(b",")
    return found


def _past(plain: dict[str, Any]) -> Past:
    budget = plain["cell"].get("budget") or {}
    cost = dict(plain["cost"])
    cost["seconds"]["total"]  # a record without clocks tells nothing
    return Past(
        group=plain["group"],
        names=plain["names"],
        batch_size=int(budget.get("batch_size") or 0),
        params=budget.get("params"),
        cost=cost | {"validations": budget.get("validations")},
    )
