"""The confusion matrix of the test split. Legend: B batch size, K classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from quintain.contracts import Batch, DataSpec
from quintain.run.distributed.context import SINGLE_PROCESS, DistContext

MAX_CLASSES = 64  # a larger matrix would make records large, and cannot be read by eye


class ConfusionMatrix:
    """Counts of true class (rows) × predicted class (columns), for classification only.

    It is not part of the head plugins, because a cell's key is a hash of their source.
    """

    def __init__(self, spec: DataSpec) -> None:
        is_counted = spec.task == "classify" and len(spec.classes) <= MAX_CLASSES
        self.classes = spec.classes if is_counted else ()
        self._counts = torch.zeros(len(self.classes), len(self.classes), dtype=torch.long)

    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Add logits (B, K) and `batch.y` (B,); predictions of another shape are ignored."""
        num_classes = len(self.classes)
        if num_classes and prediction.shape == (len(batch.y), num_classes):
            self._counts += multiclass_confusion_matrix(
                prediction.argmax(1).cpu(), batch.y.cpu(), num_classes, validate_args=False
            )

    def compute(self, dist: DistContext = SINGLE_PROCESS) -> dict[str, Any] | None:
        """Return {"classes", "counts"} over all ranks; None if nothing was counted."""
        if not self.classes:
            return None
        counts = dist.sum(self._counts)
        return {"classes": list(self.classes), "counts": counts.tolist()} if counts.any() else None
