"""Counts the samples of an evaluation and the predictions that are no numbers.

Legend: B batch size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Score, Split
from quintain.errors import NonFiniteScore
from quintain.nn.decoding import NOT_A_NUMBER
from quintain.nn.mask import length_mask
from quintain.run.distributed.context import SINGLE_PROCESS, DistContext

REAL_VALUED_TASKS = ("regress", "forecast")


@dataclass(frozen=True)
class EvaluationCounts:
    """Numbers of samples of a split: evaluated, and with a prediction that is not finite."""

    split: Split
    samples: int
    not_finite: int

    def describe(self) -> str:
        return (
            f"{self.not_finite:,} of {self.samples:,} predictions on {self.split} are not finite"
            " (NaN or infinite)"
        )


class EvaluationCounter:
    """Adds up `EvaluationCounts` over the batches of an evaluation, without waiting for a GPU."""

    def __init__(self, spec: DataSpec) -> None:
        self._spec = spec
        self.reset()

    def reset(self) -> None:
        self._samples, self._not_finite = 0, torch.tensor(0)

    def add(self, prediction: Tensor, batch: Batch) -> None:
        """Count the predictions of a batch, which `Head.predict` has returned."""
        self._samples += len(batch.x)
        not_finite = find_not_finite(prediction, batch, self._spec).sum()
        self._not_finite = self._not_finite.to(not_finite.device) + not_finite

    def compute(self, split: Split, dist: DistContext = SINGLE_PROCESS) -> EvaluationCounts:
        """Return the counts over all ranks, which must all call this."""
        local = torch.tensor([self._samples, int(self._not_finite)])
        samples, not_finite = dist.sum(local).tolist()
        return EvaluationCounts(split, samples, not_finite)


def find_not_finite(prediction: Tensor, batch: Batch, spec: DataSpec) -> Tensor:
    """Return which samples have a prediction that is no number, bool (B,).

    Predicted values must be finite. A logit may be minus infinity, which is a probability of 0.
    Decoders mark symbols that they cannot choose. Padding does not count.
    """
    if not prediction.is_floating_point():
        is_bad = prediction == NOT_A_NUMBER
    elif prediction.sum().isfinite():  # fast, and never true if a value is NaN or infinite
        return torch.zeros(len(prediction), dtype=torch.bool, device=prediction.device)
    elif spec.task in REAL_VALUED_TASKS:
        is_bad = ~prediction.isfinite()
    else:
        is_bad = prediction.isnan() | prediction.isposinf()
    if batch.lengths is not None and spec.task == "next_token":
        mask = length_mask(batch.lengths, prediction.shape[1])
        is_bad = is_bad & mask.reshape(*mask.shape, *[1] * (is_bad.dim() - 2))
    return is_bad.flatten(1).any(1) if is_bad.dim() > 1 else is_bad


def check_test_scores(scores: Mapping[str, float], main: Score, counts: EvaluationCounts) -> None:
    """Raise NonFiniteScore if predictions or the main score are not finite, or any is infinite."""
    bad = {k: v for k, v in scores.items() if math.isinf(v) or (k == main.name and math.isnan(v))}
    if counts.not_finite:
        raise NonFiniteScore(f"{counts.describe()}, so the run has no score")
    if bad:
        values = ", ".join(f"{name} is {value}" for name, value in bad.items())
        raise NonFiniteScore(
            f"on {counts.split} {values}, although all {counts.samples:,} predictions are finite:"
            " a prediction or a target of the data may be too large for float32"
        )
