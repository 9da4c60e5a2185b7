"""Metrics of several labels per sample: average precision and macro F1.

Legend: B batch, N samples, K labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MultilabelStatScores
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities.data import dim_zero_cat


class MacroAveragePrecision(Metric):
    """Average precision (area under the precision-recall curve), averaged over labels.

    A label without a true sample has no recall, so it does not count; 0 if no label has one. The
    value of each label equals scikit-learn's `average_precision_score`.
    """

    full_state_update = False
    probability: list[Tensor]
    truth: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("probability", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def update(self, probability_BK: Tensor, y_BK: Tensor) -> None:
        self.probability.append(probability_BK)
        self.truth.append(y_BK.long())

    def compute(self) -> Tensor:
        probability_NK, truth_NK = dim_zero_cat(self.probability), dim_zero_cat(self.truth)
        values = [
            binary_average_precision(probability_NK[:, k], truth_NK[:, k], validate_args=False)
            for k in truth_NK.any(0).nonzero().flatten().tolist()
        ]
        return torch.stack(values).mean() if values else probability_NK.new_zeros(())


class MacroF1(MultilabelStatScores):
    """F1 at probability 0.5, averaged over the labels that are true or predicted at least once.

    Equals scikit-learn's `f1_score(…, average="macro", zero_division=np.nan)`; 0 if there is no
    such label.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__(num_labels, average="none", validate_args=False)

    def update(self, probability_BK: Tensor, y_BK: Tensor) -> None:
        super().update(probability_BK, y_BK.long())

    def compute(self) -> Tensor:
        hits_K, false_alarms_K, _, misses_K, _ = super().compute().T
        f1_K = 2 * hits_K / (2 * hits_K + false_alarms_K + misses_K)  # 0 / 0 is NaN
        macro_f1: Tensor = f1_K.nanmean().nan_to_num(0.0)
        return macro_f1
