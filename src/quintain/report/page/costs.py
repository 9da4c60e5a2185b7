"""What a result took, as columns that a reader of the page may choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quintain.records.machines import HardwareClass, hardware_class
from quintain.records.schema import Cost, Record
from quintain.report.rows import Row, parts
from quintain.stats.intervals import mean_interval

COSTS = [
    {"name": "params", "label": "parameters", "over": "largest"},
    {"name": "train_seconds", "label": "training s", "over": "sum"},
    {"name": "total_seconds", "label": "whole run s", "over": "sum"},
    {"name": "samples_per_second", "label": "samples/s", "over": "smallest"},
    {"name": "latency_ms", "label": "latency ms", "over": "largest"},
    {"name": "memory_mb", "label": "memory MiB", "over": "largest"},
    {"name": "device_mb", "label": "device MiB", "over": "largest"},
    {"name": "energy_wh", "label": "energy Wh", "over": "sum"},
    {"name": "mflops", "label": "MFLOPs a sample", "over": "largest"},
]
"""Name, heading, and how a column over several datasets is made of theirs."""

_OF: dict[str, Callable[[Cost], float | None]] = {
    "total_seconds": lambda cost: cost.seconds.total,
    "latency_ms": lambda cost: cost.latency_ms["1"].p50 if "1" in cost.latency_ms else None,
    "memory_mb": lambda cost: cost.memory_mb.host_peak,
    "device_mb": lambda cost: cost.memory_mb.device_peak,
    "energy_wh": lambda cost: None if cost.energy_kwh is None else 1e3 * cost.energy_kwh,
    "mflops": lambda cost: None if cost.flops_per_sample is None else cost.flops_per_sample / 1e6,
}
_SPEED = ("total_seconds", "latency_ms", "energy_wh")


def of(records: Sequence[Record], row: Row, usual: HardwareClass | None) -> dict[str, float | None]:
    """Means over the seeds that the row's training time is of; None where a seed's is missing.

    `usual` is the class of machines whose times the row's table has.
    """
    there = [r for r in records if str(r.machine.get("host")) == row.host]
    timed = [r for r in there if hardware_class(r.machine) == usual]
    spent = [parts(r)[2] for r in timed or there]
    told = {name: mean_interval(map(read, spent)).mean for name, read in _OF.items()}
    if row.train_seconds is None:  # of another class of machines than the others of its table
        told |= dict.fromkeys(_SPEED)
    known = ("params", "train_seconds", "samples_per_second")
    return {name: getattr(row, name) for name in known} | told
