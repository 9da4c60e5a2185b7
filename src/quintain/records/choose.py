"""Some of a store's records, by the words that made them: dataset=digits model=cnn,lstm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quintain.records.faults import StoreError
from quintain.records.schema import Names, Record

CHOOSES = (*Names.model_fields, "seed", "status")


def choose(records: Iterable[Record], wanted: Mapping[str, str]) -> list[Record]:
    """The records that fit all of `wanted`: name → values with commas between; "" takes all.

    Raises:
        StoreError: a value that no record has; all of them in one message, with those there are.
    """
    every, problems = list(records), []
    asked = {name: set(text.split(",")) for name, text in wanted.items() if text}
    for name, values in asked.items():
        there = {_value(record, name) for record in every}
        if missing := sorted(values - there):
            have = ", ".join(sorted(there)) or "none"
            problems.append(f"{name}={','.join(missing)}: no record has it; there are: {have}")
    if problems:
        raise StoreError("; ".join(problems))
    return [r for r in every if all(_value(r, name) in values for name, values in asked.items())]


def _value(record: Record, name: str) -> str:
    return str(getattr(record if name in ("seed", "status") else record.names, name))
