"""Which class was taken for which, on the test split.

Legend: B batch, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec
from quintain.run.ranks import ALONE, Ranks

MOST = 64  # classes; a record stays small, and a larger matrix could not be read by eye


class Confusion:
    """Counts of truth (rows) × prediction (columns), (K, K); nothing of any other task.

    It is beside the head and its metrics, so that it is no part of what a plugin's source decides.
    """

    def __init__(self, spec: DataSpec) -> None:
        few = spec.task == "classify" and len(spec.classes) <= MOST
        self.classes = spec.classes if few else ()
        self._counts = torch.zeros(len(self.classes), len(self.classes), dtype=torch.long)

    def add(self, answer: Tensor, batch: Batch) -> None:
        """Logits (B, K) and `batch.y` (B,); answers of another shape are left out."""
        count = len(self.classes)
        if count == 0 or answer.shape != (len(batch.y), count):
            return
        pairs = batch.y.cpu() * count + answer.argmax(1).cpu()
        self._counts += torch.bincount(pairs, minlength=count * count).view(count, count)

    def plain(self, ranks: Ranks = ALONE) -> dict[str, Any] | None:
        """As the record has it, of all ranks together; None where nothing was counted."""
        if not self.classes:
            return None
        counts = ranks.sum(self._counts)
        return {"classes": list(self.classes), "counts": counts.tolist()} if counts.any() else None
