"""Readings of meters, combined over the parts of an interrupted run and over ranks.

A reading is a value in the unit that the meter's name ends with, or the reason why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quintain.contracts import Meter

Reading = float | str
Readings = dict[str, Reading]

MEANS = ("gpu_utilisation", "gpu_clock_mhz")
"""Means over time, which cannot be combined from the means of parts."""
SUMS = ("energy_kwh", "throttled_events")


def read_meters(meters: Sequence[Meter]) -> Readings:
    """Return the reading of each stopped meter by its name."""
    readings: Readings = {}
    for meter in meters:
        value = meter.read()
        readings[meter.name] = value if isinstance(value, str) else float(value)
    return readings


def add_earlier_readings(readings: Readings, earlier: Mapping[str, Reading]) -> Readings:
    """Return the readings of a whole run from those of its last part and of its earlier parts."""
    absent = "not measured in an earlier part of this interrupted run"
    return {
        name: combine_readings(name, value, earlier.get(name, absent))
        for name, value in readings.items()
    }


def combine_readings(name: str, now: Reading, earlier: Reading) -> Reading:
    """Combine the readings of two parts of a run: a sum for `SUMS`, else the larger value."""
    if name in MEANS:
        return "a mean of the last part of this interrupted run only"
    values = [value for value in (now, earlier) if not isinstance(value, str)]
    if name in SUMS:
        if isinstance(now, str):
            return now
        return sum(values) if len(values) == 2 else "missing in a part of this interrupted run"
    return max(values, default=now)


def merge_rank_readings(ranks: Sequence[Readings], whole_machine: Sequence[str]) -> Readings:
    """Return the readings of a run of several ranks.

    A peak is that of the largest rank, energy is summed, and other values are averaged. If a rank
    has no value, its reason is the reading of the run.

    Args:
        ranks: readings of each rank.
        whole_machine: meters that measure the whole machine; only rank 0's reading is used.
    """
    return {name: _merge_reading(name, ranks, name in whole_machine) for name in ranks[0]}


def _merge_reading(name: str, ranks: Sequence[Readings], is_whole_machine: bool) -> Reading:
    if is_whole_machine or len(ranks) == 1:
        return ranks[0][name]
    values: list[float] = []
    for readings in ranks:
        value = readings.get(name, "not measured on every rank")
        if isinstance(value, str):
            return value
        values.append(value)
    if name.endswith("_kwh"):
        return sum(values)
    return max(values) if name.endswith("_peak_mb") else sum(values) / len(values)
