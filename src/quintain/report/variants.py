"""Which settings tell apart the configurations that share their names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from quintain.records.schema import Record

CODE = ("sources", "results_version", "code", "versions")
"""Parts of a cell that change with the code and not with the question asked."""

_REFERENCE = ("dataset", "stem", "head", "model")
KINDS = ("dataset", "stem", "head", "model", "optimizer", "budget", "hardware")
SHOWN = 19  # characters of a content's `sha256:…` that tell it from others
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def settings(record: Record) -> dict[str, str]:
    """The cell's settings as `{"optimizer.lr": "0.001"}`, without seed and code."""
    dropped = {"seed", "names", *CODE}
    return _flat("", {k: v for k, v in record.cell.items() if k not in dropped})


def identity(record: Record, but: str = "") -> str:
    """Equal for records that answer the same question, apart from the seed.

    A reference row depends on the data and how it is read: not on hardware, budget or optimizer.
    The settings of the part `but` are left out.
    """
    names = record.names.model_dump()
    found = {k: v for k, v in settings(record).items() if k.split(".")[0] != but}
    if record.reference:
        names = {kind: names[kind] for kind in _REFERENCE}
        found = {k: v for k, v in found.items() if k.split(".")[0] in _REFERENCE}
    return json.dumps([names, found], sort_keys=True)


def spokesman(group: Sequence[Record]) -> Record:
    """The record that speaks for its group: one that keeps what is off its default, if any does."""
    return next((record for record in group if record.changed is not None), group[0])


def off_default(record: Record, kinds: Sequence[str]) -> dict[str, str]:
    """The settings of these kinds that are off their defaults, as the record keeps them.

    A record of a version that kept none has none; a head that is named like the task says nothing.
    """
    task = record.data.task if record.data else ""
    return {
        key: value
        for key, value in _flat("", dict(record.changed or {})).items()
        if key.split(".")[0] in kinds and (key, value) != ("head", task)
    }


def variants(
    records: Sequence[Record],
    kinds: Sequence[str] = KINDS,
    always: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> list[str]:
    """For each record what sets it apart from the others, such as `optimizer.lr=0.001`.

    Where the option names differ, the name says it: `budget=large` and not each of its settings.
    Only settings of these `kinds` count, and those to `ignore` do not. Settings of the kinds
    `always` are told wherever they are off their defaults.
    """
    names = [record.names.model_dump() for record in records]
    found = [settings(record) for record in records]
    changed = [k for k in kinds if len({each.get(k) for each in names}) > 1]
    told = [{kind: each[kind] for kind in changed} for each in names]
    for key in sorted(set().union(*found)):
        kind = key.split(".")[0]
        if key in ignore or kind not in kinds:
            continue
        for mine, own, line in zip(names, found, told, strict=True):
            peers = [
                other
                for name, other in zip(names, found, strict=True)
                if kind not in changed or name[kind] == mine[kind]
            ]
            if len({peer.get(key) for peer in peers}) > 1:
                line[key] = own.get(key, "unset")
    return [_line(record, line, always) for record, line in zip(records, told, strict=True)]


def _line(record: Record, told: dict[str, str], always: Sequence[str]) -> str:
    """What is told of a record, names first; the user's own files by their names."""
    files = {k: v for k, v in told.items() if _DIGEST.fullmatch(v)}
    known = off_default(record, KINDS)
    for key, digest in files.items():
        if key in known:
            told[key] = known[key]
        elif record.changed is None:
            told[key] = digest[:SHOWN]
        else:
            del told[key]  # the folder beside a table, say: the table's name stands for it
    told |= off_default(record, always)
    order = sorted(told, key=lambda key: ("." in key, key if "." in key else ""))
    return ", ".join(f"{key}={told[key]}" for key in order)


def _flat(prefix: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and value:
        nested = [_flat(f"{prefix}.{k}" if prefix else k, v) for k, v in value.items()]
        return {k: v for part in nested for k, v in part.items()}
    return {prefix: value if isinstance(value, str) else json.dumps(value)}
