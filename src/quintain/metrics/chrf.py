"""chrF2 (Popović 2015) as a torchmetrics metric over sacrebleu's implementation.

torchmetrics' CHRFScore stores each n-gram as a tensor and takes 20 ms per text instead of 0.1 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sacrebleu.metrics.chrf import CHRF
from torch import Tensor
from torchmetrics import Metric


class ChrF(Metric):
    """chrF2 of all texts together, 0 to 100: F₂ of character n-grams, n = 1 … 6, without spaces.

    The state holds sacrebleu's numbers of predicted, true and matching n-grams for each n, which
    can be summed over batches and processes.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._chrf = CHRF()
        zeros = torch.zeros(3 * self._chrf.order, dtype=torch.long)
        self.add_state("counts", zeros, dist_reduce_fx="sum")

    def update(self, predicted: Sequence[str], true: Sequence[str]) -> None:
        if predicted:
            rows = self._chrf._extract_corpus_statistics(predicted, [true])
            self.counts += torch.tensor(rows, device=self.counts.device).sum(0)

    def compute(self) -> Tensor:
        score = self._chrf._compute_score_from_stats(self.counts.tolist()).score
        return torch.tensor(score, device=self.counts.device)
