"""One label for a whole sample, whatever the grid.

Legend: B batch, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from quintain.contracts import Batch, Dataset, DataSpec, Features, MakeCore, Predictor, Score, Stem
from quintain.kit import references
from quintain.kit.heads import Summary, check_task


class Classify(nn.Module):
    """Mean over all real positions beside the last real step → logits (B, K)."""

    causal: ClassVar[bool] = False
    per_position: ClassVar[bool] = False
    scores: ClassVar[tuple[Score, ...]] = (
        Score(name="accuracy", direction="max", unit="fraction"),
        Score(name="macro_f1", direction="max", unit="fraction"),
    )
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "majority": references.majority,
        "linear": references.linear_classifier,
    }

    def __init__(self, inp: Features, spec: DataSpec, make_core: MakeCore | None = None) -> None:
        super().__init__()
        check_task(spec, "classify")
        if len(spec.classes) < 2:
            raise ValueError(f"{spec.name} names {len(spec.classes)} classes; two are needed")
        self.num_classes = len(spec.classes)
        self.summary = Summary(inp)
        self.logits = nn.Linear(self.summary.dim, self.num_classes)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → logits (B, K)."""
        return self.logits(self.summary(x, mask))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy in nats, mean over samples."""
        return F.cross_entropy(prediction, batch.y)

    def metrics(self) -> dict[str, Metric]:
        """Share of right labels; F1 averaged over the classes that occur (torchmetrics' macro)."""
        return {
            "accuracy": MulticlassAccuracy(self.num_classes, average="micro"),
            "macro_f1": MulticlassF1Score(self.num_classes, average="macro"),
        }

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        """Add one batch."""
        for metric in metrics.values():
            metric.update(prediction, batch.y)
