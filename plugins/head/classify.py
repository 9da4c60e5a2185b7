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
from quintain.kit.heads import Summary, check_task
from quintain.kit.references import simple as references


class Classify(nn.Module):
    """Mean over all real positions beside the last real step → logits (B, K).

    Args:
        inp, spec, make_core: as every head; no other core is needed.
        label_smoothing: share of each target that is spread over all classes, in training alone
            (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7).

    Raises:
        ValueError: fewer than two classes, or a label_smoothing outside [0, 1).
    """

    causal: ClassVar[bool] = False
    asks: ClassVar[Asks] = "summary"
    scores: tuple[Score, ...] = (
        Score(name="accuracy", direction="max", unit="fraction"),
        Score(name="macro_f1", direction="max", unit="fraction"),
    )
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "majority": references.majority,
        "linear": references.linear_classifier,
    }

    def __init__(
        self,
        inp: Features,
        spec: DataSpec,
        make_core: MakeCore | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_task(spec, "classify")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), came {label_smoothing}")
        if len(spec.classes) < 2:
            raise ValueError(f"{spec.name} names {len(spec.classes)} classes; two are needed")
        self.classes = spec.classes
        self.num_classes = len(spec.classes)
        self.label_smoothing = label_smoothing
        self.summary = Summary(inp)
        self.logits = nn.Linear(self.summary.dim, self.num_classes)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → logits (B, K)."""
        return self.logits(self.summary(x, mask))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy in nats, mean over samples."""
        smooth = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(prediction, batch.y, label_smoothing=smooth)

    def weight(self, batch: Batch) -> int:
        """Samples."""
        return len(batch.y)

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """The prediction."""
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Share of right labels; F1 averaged over the classes that occur (torchmetrics' macro)."""
        return {
            "accuracy": MulticlassAccuracy(self.num_classes, average="micro"),
            "macro_f1": MulticlassF1Score(self.num_classes, average="macro"),
        }

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch."""
        for metric in metrics.values():
            metric.update(answer, batch.y)

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Names of classes, and how probable the model finds the one it names."""
        probability, said = answer.softmax(1).cpu().max(1)
        rows = zip(batch.y.tolist(), said.tolist(), probability.tolist(), strict=True)
        return [
            {"truth": self.classes[t], "prediction": self.classes[s], "probability": p}
            for t, s, p in rows
        ]
