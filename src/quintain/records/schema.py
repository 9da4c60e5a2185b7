"""What a run leaves behind: one record, one JSON file, schema version 1.

A record is built from plain values, `Record.model_validate({...})`, and never changes afterwards.
Standard JSON has no NaN or infinity: such a value becomes null, and `nonfinite` says where it stood
and what it was, for example `{"quality.scores.accuracy.val": "nan"}`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from quintain.contracts import Direction, Modality, Task
from quintain.records.plain import plain_json

SCHEMA = 1

Status = Literal["ok", "failed", "skipped"]
ErrorKind = Literal["nan", "oom", "timeout", "killed", "interrupted", "data", "exception"]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]  # what other readers of JSON can hold
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0)]

MEASURED = ("flops_per_sample", "energy_kwh", "mfu", "data_wait_share")
"""Fields of `Cost` that are either there or have a reason in `Cost.absent`."""


def _on_a_calendar(value: str) -> str:
    datetime.fromisoformat(value)
    return value


Moment = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"),
    AfterValidator(_on_a_calendar),
]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Names(_Part):
    """The option names a person typed or got by default."""

    dataset: str
    stem: str
    head: str
    model: str
    optimizer: str
    budget: str
    hardware: str


class Sizes(_Part):
    """Number of samples in each split."""

    train: Count
    val: Count
    test: Count


class Data(_Part):
    """Which data was used and how it was read; `card_fingerprint` is what the card promised."""

    modality: Modality
    task: Task
    generated: bool
    reading: str
    fingerprint: str
    card_fingerprint: str | None = None
    sizes: Sizes
    notes: list[str] = []  # what the dataset found out about the user's files


class ScoreValue(_Part):
    """One score on validation (of the chosen weights) and on test; None where not finite."""

    direction: Direction
    unit: str
    val: float | None
    test: float | None


class CurvePoint(_Part):
    """One validation: optimizer step, seconds of training until then, and what was measured."""

    step: Count
    seconds: Seconds
    train_loss: float | None
    val: dict[str, float | None]


class Target(_Part):
    """The first validation that reached the asked value of a score; `seconds` are of training."""

    score: str
    value: float
    step: Count | None
    seconds: Seconds | None


class Confusion(_Part):
    """How often each class of the test split (row) was taken for which (column)."""

    classes: list[str]
    counts: list[list[Count]]

    @model_validator(mode="after")
    def _square(self) -> Confusion:
        size = len(self.classes)
        if [len(row) for row in self.counts] != [size] * size:
            raise ValueError(f"expected counts of {size} × {size}, one for each pair of classes")
        return self


class Quality(_Part):
    """How good the model is; `main` names the score that chose the weights and ranks models."""

    main: str
    scores: dict[str, ScoreValue]
    curve: list[CurvePoint] = []
    best_step: Count | None = None
    target: Target | None = None
    confusion: Confusion | None = None  # where the task is to classify, of few classes

    @model_validator(mode="after")
    def _main_is_measured(self) -> Quality:
        if self.main not in self.scores:
            have = ", ".join(self.scores) or "none"
            raise ValueError(f"the main score '{self.main}' is not among the scores: {have}")
        return self


class Clocks(_Part):
    """Seconds spent in each phase; `total` is the wall time of the run."""

    setup: Seconds
    training: Seconds
    validation: Seconds
    test: Seconds
    logging: Seconds
    total: Seconds


class StepPercentiles(_Part):
    """Milliseconds of one training step."""

    p50: float
    p95: float
    p99: float


class LatencyPercentiles(_Part):
    """Milliseconds of one forward pass."""

    p50: float
    p95: float


class Memory(_Part):
    """Peaks in MiB; `device_peak` is None without a device."""

    host_peak: float | None
    device_peak: float | None = None


class Ranks(_Part):
    """The processes of a run of several, in the order of their ranks.

    Raw lists: milliseconds of each step and of its all-reduce, by rank. The shares of training are
    what was lost to other things than computing; `how` says how they and the percentiles are made,
    `absent` why one is missing.
    """

    world: Count
    step_ms: list[list[float]]
    all_reduce_ms: list[list[float]] = []
    input_seconds: list[Seconds]
    host_peak_mb: list[float | None]
    host_sum_mb: float
    device_peak_mb: list[float | None] = []
    input_share: float
    communication_share: float | None = None
    imbalance_share: float | None = None
    how: str
    absent: str = ""

    @field_validator("step_ms", "all_reduce_ms")
    @classmethod
    def _rounded(cls, values: list[list[float]]) -> list[list[float]]:
        return [[round(value, 3) for value in rank] for rank in values]


class Cost(_Part):
    """What the run took. `params` counts towards the budget, `params_total` counts embeddings too.

    Reference rows leave what does not apply as None. `absent` gives the reason why a measured
    value is missing; where none was given it says "not measured".
    """

    params: Count | None
    params_total: Count | None
    params_asked: Count | None = None
    width: float | None = None
    flops_per_sample: float | None = None
    steps: Count | None
    samples: Count | None
    seconds: Clocks
    samples_per_second: float | None
    step_ms: StepPercentiles | None = None
    latency_ms: dict[str, LatencyPercentiles] = {}
    memory_mb: Memory
    energy_kwh: float | None = None
    mfu: float | None = None
    data_wait_share: float | None = None
    ranks: Ranks | None = None
    meters: dict[str, float] = {}  # what else the hardware measured; the unit is in the name
    pieces: Count = 1  # that a training batch was taken in, for want of memory
    resumed: Count = 0  # how many times the run was interrupted and went on
    absent: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _absent_has_reason(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("absent", {}), dict):
            return data
        missing = {name: "not measured" for name in MEASURED if data.get(name) is None}
        return data | {"absent": missing | data.get("absent", {})}


class Trust(_Part):
    """One check of a measurement: True good, False doubtful, None not known; `note` says why."""

    ok: bool | None
    note: str = ""


class Failure(_Part):
    """Why a run failed; `log_tail` holds the last lines of its log."""

    kind: ErrorKind
    type: str
    message: str
    traceback: str = ""
    log_tail: str = ""


class Trial(_Part):
    """One trial of a search: it has read validation and never test, so it ranks nowhere."""

    study: Hex
    number: Count
    pruned: bool = False  # ended early, by its validation scores


class Tuned(_Part):
    """The search whose best setting a cell was given.

    `trials` says how many were done, of which `pruned` ended early and `failed` gave no score;
    `steps` are optimizer steps of all of them. `best` are the settings found, `best_value` their
    `metric` on validation, in the trial of that number.
    """

    study: Hex
    trials: Count
    pruned: Count
    failed: Count
    steps: Count
    space: dict[str, dict[str, JsonValue]]
    sampler: str
    pruner: str
    seed: Whole
    metric: str
    best: dict[str, JsonValue]
    best_value: float
    best_trial: Count


class Record(_Part):
    """The immutable result of a run. `ValidationError` (a ValueError) names every wrong field."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    key: Hex
    group: Hex
    status: Status
    reference: bool = False
    names: Names
    seed: Whole
    cell: dict[str, JsonValue]
    changed: dict[str, JsonValue] | None = None  # settings off their defaults; None: not kept then
    trial: Trial | None = None
    tuned: Tuned | None = None
    data: Data | None = None
    quality: Quality | None = None
    cost: Cost | None = None
    step_times_ms: list[float] = []
    machine: dict[str, JsonValue] = {}
    trust: dict[str, Trust] = {}
    versions: dict[str, str] = {}
    error: Failure | None = None
    reason: str | None = None
    started: Moment
    finished: Moment
    nonfinite: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _finite(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        found: dict[str, str] = {}
        plain: dict[str, Any] = plain_json(data, found)
        known = plain.get("nonfinite", {})
        return plain | {"nonfinite": found | known} if isinstance(known, dict) else plain

    @field_validator("step_times_ms")
    @classmethod
    def _rounded(cls, values: list[float]) -> list[float]:
        return [round(value, 3) for value in values]  # a µs: below what the clock resolves

    @model_validator(mode="after")
    def _status_fits(self) -> Record:
        problems = list(_misfits(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def dump(self) -> dict[str, Any]:
        """Plain values, as in the JSON file."""
        return self.model_dump(by_alias=True)

    def to_json(self) -> str:
        """Standard JSON, one top-level field a line."""
        lines = (
            f"{json.dumps(name)}: {json.dumps(value, allow_nan=False, ensure_ascii=False)}"
            for name, value in self.dump().items()
        )
        return "{" + ",\n ".join(lines) + "}\n"

    def finished_at(self) -> datetime:
        """`finished` as an aware datetime."""
        return datetime.fromisoformat(self.finished)

    def main_test(self) -> float | None:
        """The main score on the test split; None where there is none."""
        return self.quality.scores[self.quality.main].test if self.quality else None


def utc_now() -> str:
    """This moment, as `started` and `finished` want it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _misfits(record: Record) -> list[str]:
    """What a status demands or forbids and the record does not heed."""
    problems = []
    if record.status == "ok":
        problems += [f"ok needs {part}" for part in ("data", "quality", "cost")
                     if getattr(record, part) is None]  # fmt: skip
        if not record.reference and record.cost is not None:
            problems += [f"ok needs cost.{part} (only reference rows may lack it)"
                         for part in ("params", "params_total", "steps", "samples")
                         if getattr(record.cost, part) is None]  # fmt: skip
    if (record.status == "failed") != (record.error is not None):
        problems.append(f"status '{record.status}' {_verb(record.error)} an error")
    if (record.status == "skipped") != (record.reason is not None):
        problems.append(f"status '{record.status}' {_verb(record.reason)} a reason")
    return problems


def _verb(given: object) -> str:
    return "needs" if given is None else "forbids"
