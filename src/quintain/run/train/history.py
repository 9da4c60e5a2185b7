"""The history of a run: its validations, best weights, step times and test scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from quintain.contracts import Score


@dataclass(frozen=True)
class ValidationPoint:
    """One validation during training.

    Attributes:
        step: optimizer steps so far.
        seconds: seconds of training so far.
        train_loss: mean loss of the steps since the previous validation; NaN if there were none.
        scores: scores on the validation split by name.
    """

    step: int
    seconds: float
    train_loss: float
    scores: dict[str, float]


@dataclass
class TrainingHistory:
    """The results of training and testing, to which a run adds.

    Attributes:
        curve: one point for each validation.
        best: the point with the best main score, of equal ones that with the best second score, of
            equal ones the earliest; None if no main score is finite.
        best_weights: state dict of the model at that point.
        step_ms: milliseconds of each optimizer step.
        all_reduce_ms: milliseconds of each step that were spent in collectives.
        test: scores on the test split by name.
        confusion: as `ConfusionMatrix.compute` returns it.
    """

    curve: list[ValidationPoint] = field(default_factory=list)
    best: ValidationPoint | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    step_ms: list[float] = field(default_factory=list)
    all_reduce_ms: list[float] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    confusion: dict[str, Any] | None = None


def is_better(a: ValidationPoint, b: ValidationPoint | None, scores: Sequence[Score]) -> bool:
    """Return whether `a` has a better main score than `b`, and a finite one; None is worst.

    If the main scores, which come first in `scores`, are equal, the next score decides.
    """
    if not math.isfinite(a.scores[scores[0].name]):
        return False
    if b is None:
        return True
    for score in scores[:2]:
        value_a, value_b = a.scores[score.name], b.scores[score.name]
        if not math.isfinite(value_a) or not math.isfinite(value_b):
            return math.isfinite(value_a)
        if value_a != value_b:
            return value_a > value_b if score.direction == "max" else value_a < value_b
    return False
