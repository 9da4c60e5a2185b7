"""Scaling efficiency: the throughput of distributed runs relative to one process.

Efficiency is samples/s of N ranks / (N · samples/s of one process), for each seed. Strong scaling
compares runs with the same total batch size, weak scaling runs with the same batch size per rank.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from quintain.records.cost import RankMeasurements
from quintain.records.schema import Record
from quintain.report.rows import measurements
from quintain.stats.intervals import mean_interval

Kind = Literal["strong", "weak"]


@dataclass(frozen=True)
class ScalingResult:
    """One distributed configuration relative to one process."""

    dataset: str
    model: str
    hardware: str
    world_size: int
    batch_size: int
    kind: Kind
    efficiency: list[float]  # one per seed
    ranks: list[RankMeasurements]  # one per seed

    def describe(self) -> str:
        """Return a sentence with means over seeds and their 95 % intervals."""
        percent = _format_percent(self.efficiency, ".0%")
        return (
            f"{self.dataset}/{self.model} on {self.hardware}, batch {self.batch_size}:"
            f" {self.kind} scaling to {self.world_size} ranks {percent} of linear"
            f" (n={len(self.efficiency)}); {_describe_losses(self.ranks)}"
        )


def measure_scaling(records: Iterable[Record]) -> list[ScalingResult]:
    """Compare every distributed run with the run of one process on the same machine."""
    trained = [r for r in records if r.status == "ok" and not r.baseline]
    single = {_match_key(r, _batch_size(r)): r for r in trained if measurements(r)[2].ranks is None}
    results: dict[tuple[str, Kind], ScalingResult] = {}
    for record in sorted(trained, key=lambda r: (r.group, r.seed)):
        cost, batch_size, names = measurements(record)[2], _batch_size(record), record.names
        if cost.ranks is None or batch_size == 0:
            continue
        world_size = cost.ranks.world
        sizes: dict[Kind, float] = {"strong": batch_size, "weak": batch_size / world_size}
        for kind, size in sizes.items():
            one_process = single.get(_match_key(record, size))
            speed = measurements(one_process)[2].samples_per_second if one_process else None
            if not speed or not cost.samples_per_second:
                continue
            labels = names.dataset, names.model, names.hardware
            empty = ScalingResult(*labels, world_size, int(batch_size), kind, [], [])
            efficiency = cost.samples_per_second / speed / world_size
            if not math.isfinite(efficiency):
                continue
            result = results.setdefault((record.group, kind), empty)
            result.efficiency.append(efficiency)
            result.ranks.append(cost.ranks)
    return list(results.values())


def _match_key(record: Record, batch_size: float) -> str:
    """Return a text of what must be equal: settings except devices, seed, machine, batch size."""
    settings: dict[str, Any] = {k: v for k, v in record.cell.items() if k != "sources"}
    hardware, budget = (
        part if isinstance(part := settings.get(name), dict) else {}
        for name in ("hardware", "budget")
    )
    settings["hardware"] = {name: hardware.get(name) for name in ("precision", "threads")}
    settings["budget"] = budget | {"batch_size": float(batch_size)}
    device = "cpu" if measurements(record)[2].memory_mb.device_peak is None else "gpu"
    return json.dumps([settings, record.seed, record.machine.get("host"), device], sort_keys=True)


def _batch_size(record: Record) -> float:
    """Return the batch size over all ranks."""
    cost = measurements(record)[2]
    return (cost.samples or 0) / (cost.steps or 1)


def _describe_losses(ranks: Sequence[RankMeasurements]) -> str:
    """Describe the mean shares of training time that were lost, and why others are missing."""
    shares: dict[str, list[float]] = defaultdict(list)
    for measured in ranks:
        for name in ("communication", "input", "imbalance"):
            value = getattr(measured, f"{name}_share")
            if value is not None:
                shares[name].append(value)
    losses = [f"{_format_percent(values, '.1%')} to {name}" for name, values in shares.items()]
    reason = next((measured.absent for measured in ranks if measured.absent), "")
    return f"of training {', '.join(losses)} was lost" + (f" ({reason})" if reason else "")


def _format_percent(values: Sequence[float], spec: str) -> str:
    """Format a mean and its 95 % interval, clipped at zero."""
    interval = mean_interval(values)
    assert interval.mean is not None
    mean = f"{interval.mean:{spec}}"
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} [{max(0.0, interval.low):{spec}}, {interval.high:{spec}}]"
