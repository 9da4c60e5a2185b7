"""Which settings tell apart the configurations that share their names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from quintain.records.schema import Record

CODE = ("sources", "results_version", "code", "versions")
"""Parts of a cell that change with the code and not with the question asked."""

_REFERENCE = ("dataset", "stem", "head", "model")
_KINDS = ("dataset", "stem", "head", "model", "optimizer", "budget", "hardware")


def settings(record: Record) -> dict[str, str]:
    """The cell's settings as `{"optimizer.lr": "0.001"}`, without seed and code."""
    dropped = {"seed", "names", *CODE}
    return _flat("", {k: v for k, v in record.cell.items() if k not in dropped})


def identity(record: Record) -> str:
    """Equal for records that answer the same question, apart from the seed.

    A reference row depends on the data and how it is read: not on hardware, budget or optimizer.
    """
    names, found = record.names.model_dump(), settings(record)
    if record.reference:
        names = {kind: names[kind] for kind in _REFERENCE}
        found = {k: v for k, v in found.items() if k.split(".")[0] in _REFERENCE}
    return json.dumps([names, found], sort_keys=True)


def variants(
    records: Sequence[Record], kinds: Sequence[str] = (), ignore: Sequence[str] = ()
) -> list[str]:
    """For each record what sets it apart from the others, such as `optimizer.lr=0.001`.

    Where the option names differ, the name says it: `budget=large` and not each of its settings.
    Only settings of these `kinds` count (all, if none are given), and those to `ignore` do not.
    """
    names = [record.names.model_dump() for record in records]
    found = [settings(record) for record in records]
    asked = kinds or _KINDS
    changed = [k for k in asked if len({each[k] for each in names}) > 1]
    told = [[f"{kind}={each[kind]}" for kind in changed] for each in names]
    for key in sorted(set().union(*found)):
        kind = key.split(".")[0]
        if key in ignore or (kinds and kind not in kinds):
            continue
        for mine, own, line in zip(names, found, told, strict=True):
            peers = [
                other
                for name, other in zip(names, found, strict=True)
                if kind not in changed or name[kind] == mine[kind]
            ]
            if len({peer.get(key) for peer in peers}) > 1:
                line.append(f"{key}={own.get(key, 'unset')}")
    return [", ".join(line) for line in told]


def _flat(prefix: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and value:
        nested = [_flat(f"{prefix}.{k}" if prefix else k, v) for k, v in value.items()]
        return {k: v for part in nested for k, v in part.items()}
    return {prefix: value if isinstance(value, str) else json.dumps(value)}
