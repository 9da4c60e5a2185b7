"""The head of classification: one class per sample.

Legend: B batch, K classes.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from quintain.baselines.classify import linear_classifier, majority
from quintain.contracts import Batch, Dataset, DataSpec, Features, Json, MakeCore, Score
from quintain.nn.checks import check_task
from quintain.nn.pooling import Summary


class Classify(nn.Module):
    """A linear map of a sample's mean and last valid step to logits (B, K).

    Args:
        label_smoothing: probability that is distributed evenly over all classes, in training only
            (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7).

    Raises:
        ValueError: fewer than two classes, or a label_smoothing outside [0, 1).
    """

    causal = False
    output_mode = "summary"
    scores = (
        Score(name="accuracy", direction="max", unit="fraction"),
        Score(name="macro_f1", direction="max", unit="fraction"),
    )
    baselines: ClassVar = {"majority": majority, "linear": linear_classifier}

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
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        if len(spec.classes) < 2:
            raise ValueError(f"{spec.name} has {len(spec.classes)} classes; two are needed")
        self.classes, self.label_smoothing = spec.classes, label_smoothing
        self.summary = Summary(inp)
        self.logits = nn.Linear(self.summary.dim, len(spec.classes))

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → logits (B, K)."""
        return self.logits(self.summary(x, mask))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats per sample."""
        smoothing = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(prediction, batch.y, label_smoothing=smoothing)

    def num_targets(self, batch: Batch) -> int:
        return len(batch.y)

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return the accuracy, and F1 averaged over the classes that occur (macro)."""
        return {
            "accuracy": MulticlassAccuracy(len(self.classes), average="micro"),
            "macro_f1": MulticlassF1Score(len(self.classes), average="macro"),
        }

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        for metric in metrics.values():
            metric.update(prediction, batch.y)

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Return the names of the classes, and the probability of the predicted class."""
        probability, label = prediction.softmax(1).cpu().max(1)
        rows = zip(batch.y.tolist(), label.tolist(), probability.tolist(), strict=True)
        return [
            {"truth": self.classes[y], "prediction": self.classes[predicted], "probability": p}
            for y, predicted, p in rows
        ]
