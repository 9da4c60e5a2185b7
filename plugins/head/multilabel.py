"""The head of multi-label classification: any number of labels per sample.

Legend: B batch, K labels.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MultilabelF1Score

from quintain.baselines.multilabel import label_frequencies, linear_multilabel, nearest_multilabel
from quintain.contracts import Batch, Dataset, DataSpec, Features, Json, MakeCore, Score
from quintain.metrics.multilabel_metrics import MacroAveragePrecision, MacroF1
from quintain.metrics.token_metrics import MeanCrossEntropy
from quintain.nn.checks import check_task
from quintain.nn.pooling import Summary

RankBy = Literal["average_precision", "micro_f1", "macro_f1", "nll"]
THRESHOLD = 0.5  # probability from which a label is predicted, for F1 and samples


class Multilabel(nn.Module):
    """A linear map of a sample's mean and last valid step to the logits of all labels (B, K).

    Args:
        rank_by: the main score.

    Raises:
        ValueError: the dataset has no labels, or `rank_by` is not a score.
    """

    causal = False
    output_mode = "summary"
    baselines: ClassVar = {
        "majority": label_frequencies,
        "linear": linear_multilabel,
        "nearest": nearest_multilabel,
    }

    def __init__(
        self,
        inp: Features,
        spec: DataSpec,
        make_core: MakeCore | None = None,
        *,
        rank_by: RankBy = "average_precision",
    ) -> None:
        super().__init__()
        check_task(spec, "multilabel")
        if not spec.classes:
            raise ValueError(f"{spec.name} has no labels; multilabel needs one or more")
        if rank_by not in get_args(RankBy):
            names = ", ".join(get_args(RankBy))
            raise ValueError(f"rank_by must be one of {names}; got {rank_by!r}")
        scores = (
            Score(name="average_precision", direction="max", unit="fraction"),
            Score(name="micro_f1", direction="max", unit="fraction"),
            Score(name="macro_f1", direction="max", unit="fraction"),
            Score(name="nll", direction="min", unit="nats/sample"),
        )
        self.scores = tuple(sorted(scores, key=lambda score: score.name != rank_by))
        self.labels = spec.classes
        self.summary = Summary(inp)
        self.logits = nn.Linear(self.summary.dim, len(spec.classes))

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), mask → logits (B, K)."""
        return self.logits(self.summary(x, mask))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the binary cross-entropy in nats, a mean over samples and labels."""
        return F.binary_cross_entropy_with_logits(prediction, batch.y)

    def num_targets(self, batch: Batch) -> int:
        return len(batch.y)

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return average precision, F1 over all decisions (micro) and over labels (macro), and the
        negative log-likelihood of a sample: the sum of the cross-entropies of its labels.
        """
        count = len(self.labels)
        metrics: dict[str, Metric] = {
            "average_precision": MacroAveragePrecision(),
            "micro_f1": MultilabelF1Score(count, average="micro", threshold=THRESHOLD),
            "macro_f1": MacroF1(count),
            "nll": MeanCrossEntropy(),
        }
        return {score.name: metrics[score.name] for score in self.scores}

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        probability_BK = prediction.sigmoid()
        losses_BK = F.binary_cross_entropy_with_logits(prediction, batch.y, reduction="none")
        for name, metric in metrics.items():
            if name == "nll":
                metric.update(losses_BK.sum(1).mean(), batch.y[:, 0])
            else:
                metric.update(probability_BK, batch.y.long())

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Return the names of the true labels, and of those with a probability above 0.5."""
        pairs = zip(batch.y.cpu() > 0, prediction.sigmoid().cpu() > THRESHOLD, strict=True)
        return [
            {"truth": self._names(true_K), "prediction": self._names(predicted_K)}
            for true_K, predicted_K in pairs
        ]

    def _names(self, is_label_K: Tensor) -> str:
        pairs = zip(self.labels, is_label_K.tolist(), strict=True)
        return ", ".join(label for label, is_label in pairs if is_label) or "(none)"
