"""The record of a run: its fields, their types and the rules between them.

A record is one JSON file, and immutable: build it with `Record.model_validate({...})`. Standard
JSON has no NaN or infinity: such a value becomes null, and `nonfinite` maps its dotted path to what
it was, for example `{"quality.scores.accuracy.val": "nan"}`.

Schema versions:
    2: `reference` was renamed to `baseline`.
    1: the first; such records are converted to version 2 when they are read.
"""

# ruff: noqa: RUF012  (pydantic copies mutable defaults)
from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import AliasChoices, ConfigDict, Field, JsonValue, model_validator

from quintain.contracts import Direction, Modality, Task
from quintain.errors import printable
from quintain.records.cost import Cost
from quintain.records.field_types import (
    Count,
    FrozenModel,
    Hex,
    Int64,
    Milliseconds,
    Seconds,
    Timestamp,
    to_standard_json,
)

SCHEMA: Final = 2

Status = Literal["ok", "failed", "skipped"]
ErrorKind = Literal["nan", "oom", "timeout", "killed", "interrupted", "data", "exception"]


class OptionNames(FrozenModel):
    """The option of each config group that the cell uses."""

    dataset: str
    stem: str
    head: str
    model: str
    optimizer: str
    budget: str
    hardware: str


class Sizes(FrozenModel):
    """Number of samples in each split."""

    train: Count
    val: Count
    test: Count


class DataDescription(FrozenModel):
    """The data that was used.

    `reading` is the input layout of the stem, `card_fingerprint` the fingerprint in the dataset's
    card; `notes` are remarks about the user's files.
    """

    modality: Modality
    task: Task
    generated: bool
    reading: str
    fingerprint: str
    card_fingerprint: str | None = None
    sizes: Sizes
    notes: list[str] = []


class ScoreValue(FrozenModel):
    """One score of the selected weights, on validation and test; None where it is not finite."""

    direction: Direction
    unit: str
    val: float | None
    test: float | None


class CurvePoint(FrozenModel):
    """One validation: optimizer step, seconds of training so far, training loss and scores."""

    step: Count
    seconds: Seconds
    train_loss: float | None
    val: dict[str, float | None]


class Target(FrozenModel):
    """The first validation where a score reached `value`: step and seconds; None if it did not."""

    score: str
    value: float
    step: Count | None
    seconds: Seconds | None


class Confusion(FrozenModel):
    """Confusion matrix of the test split: rows are true classes, columns are predicted classes."""

    classes: list[str]
    counts: list[list[Count]]

    @model_validator(mode="after")
    def _check_square(self) -> Confusion:
        size = len(self.classes)
        if [len(row) for row in self.counts] != [size] * size:
            raise ValueError(f"expected counts of {size} × {size}, one for each pair of classes")
        return self


class Quality(FrozenModel):
    """Scores of the model; `main` names the one that selects weights and ranks models.

    `confusion` is present for classification with few classes.
    """

    main: str
    scores: dict[str, ScoreValue]
    curve: list[CurvePoint] = []
    best_step: Count | None = None
    target: Target | None = None
    confusion: Confusion | None = None

    @property
    def main_score(self) -> ScoreValue:
        """The score named by `main`."""
        return self.scores[self.main]

    @model_validator(mode="after")
    def _check_main_score(self) -> Quality:
        if self.main not in self.scores:
            known = ", ".join(self.scores) or "none"
            raise ValueError(f"the main score '{self.main}' is not among the scores: {known}")
        return self


class TrustCheck(FrozenModel):
    """A check of the measurement: True is passed, False is failed, None is unknown."""

    ok: bool | None
    note: str = ""


class Failure(FrozenModel):
    """The error of a failed run, and the last lines of its log."""

    kind: ErrorKind
    type: str
    message: str
    traceback: str = ""
    log_tail: str = ""


class TrialInfo(FrozenModel):
    """The trial of a hyperparameter search. It does not evaluate the test split, so it has no rank.

    `pruned`: whether it was stopped early because of its validation scores.
    """

    study: Hex
    number: Count
    pruned: bool = False


class TuningResult(FrozenModel):
    """The hyperparameter search that selected the settings of the cell.

    Of `trials`, `pruned` were stopped early and `failed` had no score; `steps` is their sum of
    optimizer steps. `best` holds the best settings, `best_value` the validation score `metric` of
    trial `best_trial`, which used them.
    """

    study: Hex
    trials: Count
    pruned: Count
    failed: Count
    steps: Count
    space: dict[str, dict[str, JsonValue]]
    sampler: str
    pruner: str
    seed: Int64
    metric: str
    best: dict[str, JsonValue]
    best_value: float
    best_trial: Count


class Record(FrozenModel):
    """The immutable result of a run. Its `ValidationError` (a ValueError) lists every wrong field.

    `cell` holds the resolved settings that determine the result, `changed` the non-default ones
    (None in old records, which do not list them).
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    key: Hex
    group: Hex
    status: Status
    baseline: bool = Field(default=False, validation_alias=AliasChoices("baseline", "reference"))
    names: OptionNames
    seed: Int64
    cell: dict[str, JsonValue]
    changed: dict[str, JsonValue] | None = None
    trial: TrialInfo | None = None
    tuned: TuningResult | None = None
    data: DataDescription | None = None
    quality: Quality | None = None
    cost: Cost | None = None
    step_times_ms: list[Milliseconds] = []
    machine: dict[str, JsonValue] = {}
    trust: dict[str, TrustCheck] = {}
    versions: dict[str, str] = {}
    error: Failure | None = None
    reason: str | None = None
    started: Timestamp
    finished: Timestamp
    nonfinite: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, data: Any) -> Any:
        """Convert records of schema 1, and values that JSON cannot represent."""
        if not isinstance(data, dict):
            return data
        nonfinite: dict[str, str] = {}
        values: dict[str, Any] = to_standard_json(data, nonfinite)
        values.pop("checksum", None)  # of a file that another program has written anew
        if type(version := values.get("schema")) is int and version == 1:
            values["schema"] = SCHEMA
        known = values.get("nonfinite", {})
        return values | {"nonfinite": nonfinite | known} if isinstance(known, dict) else values

    @model_validator(mode="after")
    def _check_consistency(self) -> Record:
        if problems := list(_find_contradictions(self)):
            raise ValueError("; ".join(problems))
        return self

    def dump(self) -> dict[str, Any]:
        """Return the fields as in the JSON file."""
        return self.model_dump(by_alias=True)

    def to_json(self) -> str:
        """Return standard JSON with one top-level field per line."""
        lines = (
            f"{json.dumps(name)}: {json.dumps(value, allow_nan=False, ensure_ascii=False)}"
            for name, value in self.dump().items()
        )
        return "{" + ",\n ".join(lines) + "}\n"

    def finished_at(self) -> datetime:
        """Return `finished` as an aware datetime."""
        return datetime.fromisoformat(self.finished)

    def main_test_score(self) -> float | None:
        """Return the main score on the test split; None if there is none."""
        return self.quality.main_score.test if self.quality else None

    def __repr__(self) -> str:
        names = self.names
        parts = [f"{self.status}: {names.dataset}/{names.model}/{names.hardware} seed {self.seed}"]
        if self.quality and (score := self.main_test_score()) is not None:
            parts.append(f"{self.quality.main} {score:.4g} on test")
        if self.cost:
            parts.append(f"{self.cost.seconds.training:.1f} s of training")
        if self.error:
            parts.append(f"{self.error.kind}: {self.error.message}")
        return printable(", ".join(parts + ([self.reason] if self.reason else [])))

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the text of `repr` for notebooks, escaped."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def utc_now() -> str:
    """Return the current time in the format of `started` and `finished`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _find_contradictions(record: Record) -> Iterator[str]:
    """Yield a message for each field that the status requires or forbids."""
    if record.status == "ok":
        for part in ("data", "quality", "cost"):
            if getattr(record, part) is None:
                yield f"ok needs {part}"
        for part in ("params", "params_total", "steps", "samples"):
            if record.cost and not record.baseline and getattr(record.cost, part) is None:
                yield f"ok needs cost.{part} (only baselines may lack it)"
    for status, name in (("failed", "error"), ("skipped", "reason")):
        is_missing = getattr(record, name) is None
        if (record.status == status) == is_missing:
            article = "an" if name == "error" else "a"
            verb = "needs" if is_missing else "forbids"
            yield f"status '{record.status}' {verb} {article} {name}"
