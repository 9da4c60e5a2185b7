"""Hardware classes: machines of one class are equally fast, so their times are comparable."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from quintain.records.schema import Record


class HardwareClass(NamedTuple):
    """The properties that determine how fast a machine is; None where unknown.

    Host name (the nodes of a cluster are equal), memory, operating system and driver do not count.
    """

    cpu: str | None
    architecture: str | None
    cores: int | None
    threads: int | None
    gpu: str | None

    def __str__(self) -> str:
        """Return for example `AMD EPYC, 2 cores, 1 thread`; unknown properties are omitted."""
        counts = [
            f"{count} {noun}" if count == 1 else f"{count} {noun}s"
            for count, noun in ((self.cores, "core"), (self.threads, "thread"))
            if count is not None
        ]
        names = [name for name in (self.gpu, self.cpu or self.architecture) if name]
        return ", ".join([*names, *counts]) or "an unknown machine"


def hardware_class(machine: Mapping[str, Any]) -> HardwareClass:
    """Return the class of a record's `machine`; a value of a wrong type counts as unknown."""

    types = {"cpu": str, "architecture": str, "cores": int, "threads": int, "gpu": str}
    values: dict[str, Any] = {
        name: value if type(value := machine.get(name)) is kind else None
        for name, kind in types.items()
    }
    return HardwareClass(**values)


def most_common_classes(records: Iterable[Record]) -> dict[str, HardwareClass]:
    """Return hardware option → most common class; in a tie, that of the newest record."""
    by_option: dict[str, Counter[HardwareClass]] = defaultdict(Counter)
    for record in sorted(records, key=Record.finished_at, reverse=True):
        by_option[record.names.hardware][hardware_class(record.machine)] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in by_option.items()}
