"""What the ranks of a run have measured, put together for its one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quintain.contracts import Meter

HOW = (
    "a global step lasts as long as the slowest rank's: percentiles are of the maxima over ranks,"
    " step by step; a rank computes in what is left of its step after the all-reduce."
    " communication: beyond the slowest rank's computing; imbalance: the slowest rank's computing"
    " beyond the mean's; input: mean wait for data; each over the seconds of training"
)
OVERLAPPING = "communication overlaps the computing; it is not timed apart"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one rank has measured: milliseconds of each step and of its all-reduce (empty where that
    cannot be told), seconds of waiting for data, and the values or reasons of its meters.
    """

    step_ms: list[float]
    shared_ms: list[float]
    input_seconds: float
    meters: dict[str, float | str]
    whole_machine: list[str]


def report(
    step_ms: list[float], shared_ms: list[float], input_seconds: float, meters: Sequence[Meter]
) -> Report:
    """Of this rank, its meters stopped."""
    return Report(
        step_ms=step_ms,
        shared_ms=shared_ms,
        input_seconds=input_seconds,
        meters={meter.name: meter.read() for meter in meters},
        whole_machine=[m.name for m in meters if getattr(m, "whole_machine", False)],
    )


def global_steps(reports: Sequence[Report]) -> list[float]:
    """Milliseconds of each step: the slowest rank's; [] of a run of one process."""
    return [max(step) for step in zip(*(r.step_ms for r in reports), strict=True)]


def waiting(reports: Sequence[Report], own: float) -> float:
    """Seconds that a rank waited for data, in the mean; `own` of a run of one process."""
    return _mean([r.input_seconds for r in reports]) if reports else own


def ranks_part(reports: Sequence[Report], training: float) -> dict[str, Any]:
    """What a record's cost says of several ranks; `training` is in seconds."""
    if not reports:
        return {}
    timed = all(r.shared_ms for r in reports)
    lost: dict[str, Any] = shares(reports, training) if timed else {"absent": OVERLAPPING}
    host = [_number(r.meters.get("host_peak_mb")) for r in reports]
    device = [_number(r.meters.get("device_peak_mb")) for r in reports]
    plain = {
        "world": len(reports),
        "step_ms": [r.step_ms for r in reports],
        "all_reduce_ms": [r.shared_ms for r in reports] if timed else [],
        "input_seconds": [r.input_seconds for r in reports],
        "host_peak_mb": host,
        "device_peak_mb": device,
        "host_sum_mb": sum(value for value in host if value is not None),
        "input_share": _mean([r.input_seconds for r in reports]) / training,
        "how": HOW,
    }
    return {"ranks": plain | lost}


def shares(reports: Sequence[Report], training: float) -> dict[str, float]:
    """What of the training was lost to communication and to ranks that are slower than others."""
    steps = zip(*(zip(r.step_ms, r.shared_ms, strict=True) for r in reports), strict=True)
    communication = imbalance = 0.0
    for ranks in steps:
        computing = [whole - shared for whole, shared in ranks]
        slowest = max(computing)
        communication += max(whole for whole, _ in ranks) - slowest
        imbalance += slowest - _mean(computing)
    scale = 1e3 * training
    return {"communication_share": communication / scale, "imbalance_share": imbalance / scale}


def merged(reports: Sequence[Report]) -> list[Meter]:
    """The meters of the whole run: peaks are the largest rank's, what counts a whole machine is
    rank 0's, the rest adds up. One rank's reason is the run's.
    """
    return [_Read(name, _merge(name, reports)) for name in reports[0].meters]


class _Read:
    """A meter that has been read."""

    def __init__(self, name: str, value: float | str) -> None:
        self.name, self._value = name, value

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self) -> float | str:
        return self._value


def _merge(name: str, reports: Sequence[Report]) -> float | str:
    if name in reports[0].whole_machine:
        return reports[0].meters[name]
    numbers = []
    for report in reports:
        value = report.meters.get(name, "not measured on every rank")
        if isinstance(value, str):
            return value
        numbers.append(value)
    if name.endswith("_kwh"):
        return sum(numbers)
    return max(numbers) if name.endswith("_peak_mb") else _mean(numbers)


def _number(value: float | str | None) -> float | None:
    return None if isinstance(value, str) else value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
