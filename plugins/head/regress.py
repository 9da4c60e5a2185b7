"""One or several numbers for a whole sample.

Legend: B batch, K targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric
from torchmetrics.wrappers import LambdaInputTransformer

from quintain.contracts import (
    Asks,
    Batch,
    Dataset,
    DataSpec,
    Features,
    Json,
    MakeCore,
    Predictor,
    Score,
    Stem,
)
from quintain.kit.heads import R2, Summary, check_task
from quintain.kit.references import simple as references


class Regress(nn.Module):
    """Mean over all real positions beside the last real step → standardised values (B, K)."""

    causal: ClassVar[bool] = False
    asks: ClassVar[Asks] = "summary"
    scores: tuple[Score, ...] = (
        Score(name="mae", direction="min", unit="the target's units"),
        Score(name="rmse", direction="min", unit="the target's units"),
        Score(name="r2", direction="max", unit="fraction"),
    )
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "mean": references.mean_target,
        "linear": references.linear_regression,
    }

    def __init__(self, inp: Features, spec: DataSpec, make_core: MakeCore | None = None) -> None:
        super().__init__()
        check_task(spec, "regress")
        if not spec.targets:
            raise ValueError(f"{spec.name} names no targets; regress needs one or more")
        self.names = spec.targets
        self.summary = Summary(inp)
        self.values = nn.Linear(self.summary.dim, len(spec.targets))

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → standardised values (B, K)."""
        return self.values(self.summary(x, mask))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over samples and targets, standardised."""
        return F.mse_loss(prediction, batch.y)

    def weight(self, batch: Batch) -> int:
        """Samples."""
        return len(batch.y)

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """The prediction."""
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Errors in the targets' own units; of several targets, means over them.

        R² is of standardised values, which it does not tell from restored ones: its sums of
        squares would lose a small spread about a large mean.
        """

        def original(metric: Metric) -> Metric:
            return LambdaInputTransformer(metric, dataset.restore, dataset.restore)

        return {
            "mae": original(MeanAbsoluteError()),
            "rmse": original(MeanSquaredError(squared=False)),
            "r2": R2(),
        }

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch."""
        for metric in metrics.values():
            metric.update(answer.contiguous(), batch.y.contiguous())

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Values by the names of the targets, in their own units."""
        truth, said = (dataset.restore(values.cpu()).tolist() for values in (batch.y, answer))
        pairs = zip(truth, said, strict=True)
        return [
            {
                "truth": dict(zip(self.names, t, strict=True)),
                "prediction": dict(zip(self.names, s, strict=True)),
            }
            for t, s in pairs
        ]
