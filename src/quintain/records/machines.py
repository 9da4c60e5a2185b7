"""Which machines are alike, so that times measured on them compare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from quintain.records.schema import Record

_TEXTS, _COUNTS = ("cpu", "architecture", "gpu"), ("cores", "threads")


class HardwareClass(NamedTuple):
    """What decides how fast a machine is: two records of one class have times that compare.

    Not in it: the host (equal nodes of a cluster are one class), memory, system and driver.
    """

    cpu: str | None
    architecture: str | None
    cores: int | None
    threads: int | None
    gpu: str | None

    def __str__(self) -> str:
        """AMD EPYC, 2 cores, 1 thread; what is not known is left out."""
        counts = [
            f"{count} {noun}" if count == 1 else f"{count} {noun}s"
            for count, noun in ((self.cores, "core"), (self.threads, "thread"))
            if count is not None
        ]
        words = [word for word in (self.gpu, self.cpu or self.architecture) if word]
        return ", ".join([*words, *counts]) or "an unknown machine"


def hardware_class(machine: Mapping[str, Any]) -> HardwareClass:
    """The class of a record's `machine`; what is missing or of a wrong type counts as not known."""
    text = {n: v if isinstance(v := machine.get(n), str) else None for n in _TEXTS}
    count = {n: v if type(v := machine.get(n)) is int else None for n in _COUNTS}
    return HardwareClass(
        cpu=text["cpu"],
        architecture=text["architecture"],
        cores=count["cores"],
        threads=count["threads"],
        gpu=text["gpu"],
    )


def usual_classes(records: Iterable[Record]) -> dict[str, HardwareClass]:
    """Of each hardware option the class that most of the records are of.

    Of two with equally many, the one whose newest record is newer.
    """
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.names.hardware].append(record)
    return {name: _most(together) for name, together in found.items()}


def _most(records: list[Record]) -> HardwareClass:
    newest_first = sorted(records, key=Record.finished_at, reverse=True)
    counts = Counter(hardware_class(record.machine) for record in newest_first)
    return counts.most_common(1)[0][0]  # of equal counts the first that came
