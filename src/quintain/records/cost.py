"""The cost of a run: time, memory, energy, operations; the field `cost` of a record."""

# ruff: noqa: RUF012  (pydantic copies mutable defaults)
from __future__ import annotations

from typing import Any

from pydantic import model_validator

from quintain.records.field_types import Count, FrozenModel, Milliseconds, Seconds

MEASURED = ("flops_per_sample", "energy_kwh", "mfu", "data_wait_share")
"""Fields of `Cost` that are None only with a reason in `Cost.absent`."""


class PhaseSeconds(FrozenModel):
    """Seconds spent in each phase; `total` is the wall time of the run."""

    setup: Seconds
    training: Seconds
    validation: Seconds
    test: Seconds
    logging: Seconds
    total: Seconds


class StepPercentiles(FrozenModel):
    """Milliseconds of one training step."""

    p50: float
    p95: float
    p99: float


class LatencyPercentiles(FrozenModel):
    """Milliseconds of one forward pass."""

    p50: float
    p95: float


class PeakMemory(FrozenModel):
    """Peaks in MiB; `device_peak` is None without a device."""

    host_peak: float | None
    device_peak: float | None = None


class RankMeasurements(FrozenModel):
    """Measurements of the processes of a distributed run, in the order of the ranks.

    `step_ms` and `all_reduce_ms` hold one list per rank, with the milliseconds of each step. The
    shares are the fractions of the training time lost to each cause. `how` describes how they are
    computed, `absent` why one is missing.
    """

    world: Count
    step_ms: list[list[Milliseconds]]
    all_reduce_ms: list[list[Milliseconds]] = []
    input_seconds: list[Seconds]
    host_peak_mb: list[float | None]
    host_sum_mb: float
    device_peak_mb: list[float | None] = []
    input_share: float
    communication_share: float | None = None
    imbalance_share: float | None = None
    how: str
    absent: str = ""


class Cost(FrozenModel):
    """The cost of a run; None where a value does not apply, as for baselines.

    `params` counts the parameters that the budget limits, `params_total` all including embeddings;
    `params_asked` is the limit. `meters` holds further measurements, with the unit in the name.
    `pieces` is the number of micro-batches per batch, `resumed` the number of times that the run
    was resumed. `absent` maps each missing field of `MEASURED` to the reason, by default "not
    measured".
    """

    params: Count | None
    params_total: Count | None
    params_asked: Count | None = None
    width: float | None = None
    flops_per_sample: float | None = None
    steps: Count | None
    samples: Count | None
    seconds: PhaseSeconds
    samples_per_second: float | None
    step_ms: StepPercentiles | None = None
    latency_ms: dict[str, LatencyPercentiles] = {}
    memory_mb: PeakMemory
    energy_kwh: float | None = None
    mfu: float | None = None
    data_wait_share: float | None = None
    ranks: RankMeasurements | None = None
    meters: dict[str, float] = {}
    pieces: Count = 1
    resumed: Count = 0
    absent: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _add_missing_reasons(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("absent", {}), dict):
            return data
        missing = {name: "not measured" for name in MEASURED if data.get(name) is None}
        return data | {"absent": missing | data.get("absent", {})}
