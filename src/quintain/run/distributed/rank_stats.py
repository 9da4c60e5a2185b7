"""Measurements of each rank of a run, and the field `cost.ranks` of its record."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quintain.run.measure.readings import Readings

METHOD = (
    "Each step lasts as long as on its slowest rank; percentiles are computed from these times."
    " The compute time of a rank is its step time minus its all-reduce time."
    " communication_share: step time minus the largest compute time."
    " imbalance_share: largest compute time minus the mean over ranks."
    " input_share: time spent waiting for data, mean over ranks."
    " All shares are relative to the seconds of training."
)
NO_COMMUNICATION_TIME = "communication overlaps with computing and cannot be timed separately"


@dataclass(frozen=True, kw_only=True)
class RankReport:
    """Measurements of one rank.

    Attributes:
        step_ms: milliseconds of each step.
        all_reduce_ms: milliseconds of each step's all-reduce; empty if they cannot be measured.
        input_seconds: seconds spent waiting for data.
        readings: readings of the meters.
        whole_machine: names of the meters that measure the whole machine.
    """

    step_ms: list[float]
    all_reduce_ms: list[float]
    input_seconds: float
    readings: Readings
    whole_machine: list[str]


def compute_step_ms(reports: Sequence[RankReport]) -> list[float]:
    """Return the milliseconds of each step on its slowest rank."""
    return [max(step) for step in zip(*(r.step_ms for r in reports), strict=True)]


def compute_mean_input_seconds(reports: Sequence[RankReport]) -> float:
    """Return the seconds that a rank waited for data, averaged over ranks."""
    return statistics.fmean(r.input_seconds for r in reports)


def describe_ranks(reports: Sequence[RankReport], training_seconds: float) -> dict[str, Any]:
    """Return {"ranks": …}, a field of a record's cost; {} for a run of one rank."""
    if len(reports) == 1:
        return {}
    is_timed = all(r.all_reduce_ms for r in reports)
    host_peaks = [_get_value(r, "host_peak_mb") for r in reports]
    shares: dict[str, Any] = {"absent": NO_COMMUNICATION_TIME}
    if is_timed:
        shares = _compute_lost_shares(reports, training_seconds)
    return {
        "ranks": {
            "world": len(reports),
            "step_ms": [r.step_ms for r in reports],
            "all_reduce_ms": [r.all_reduce_ms for r in reports] if is_timed else [],
            "input_seconds": [r.input_seconds for r in reports],
            "host_peak_mb": host_peaks,
            "device_peak_mb": [_get_value(r, "device_peak_mb") for r in reports],
            "host_sum_mb": sum(value for value in host_peaks if value is not None),
            "input_share": compute_mean_input_seconds(reports) / training_seconds,
            "how": METHOD,
            **shares,
        }
    }


def _compute_lost_shares(
    reports: Sequence[RankReport], training_seconds: float
) -> dict[str, float]:
    """Return the shares of training that communication and slower ranks cost."""
    steps = zip(*(zip(r.step_ms, r.all_reduce_ms, strict=True) for r in reports), strict=True)
    communication = imbalance = 0.0
    for ranks in steps:
        computing = [step - all_reduce for step, all_reduce in ranks]
        communication += max(step for step, _ in ranks) - max(computing)
        imbalance += max(computing) - sum(computing) / len(computing)
    scale = 1e3 * training_seconds
    return {"communication_share": communication / scale, "imbalance_share": imbalance / scale}


def _get_value(report: RankReport, name: str) -> float | None:
    value = report.readings.get(name)
    return None if isinstance(value, str) else value
