"""The next `horizon` values of every target, as steps away from the last value seen.

Legend: B batch, T steps seen, Z horizon, C channels, K targets (the first K channels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import (
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    SymmetricMeanAbsolutePercentageError,
)
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
from quintain.kit.heads import Summary, check_task
from quintain.kit.references import simple as references

Channels = Literal["together", "apart"]


class Forecast(nn.Module):
    """Last value + a linear map of (mean, last real step); with zero weights it is persistence.

    Subtracting the last value is NLinear's cure for a shifting level (Zeng et al. 2023).

    Args:
        inp: what the core puts out.
        spec: task forecast.
        make_core: not used.
        channels: "together": one map to all targets. "apart": the stem made a sample of each
            target, and the same map serves all of them; the series stem has the same setting.
    """

    causal: ClassVar[bool] = False
    asks: ClassVar[Asks] = "summary"
    scores: tuple[Score, ...] = (
        Score(name="mse", direction="min", unit="standardised units²"),
        Score(name="mae", direction="min", unit="standardised units"),
        Score(name="mse_original", direction="min", unit="the data's units²"),
        Score(name="mae_original", direction="min", unit="the data's units"),
        Score(name="smape", direction="min", unit="fraction, 0 to 2"),
    )
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "persistence": references.persistence,
        "seasonal_naive": references.seasonal_naive,
        "linear": references.linear_forecast,
    }

    def __init__(
        self,
        inp: Features,
        spec: DataSpec,
        make_core: MakeCore | None = None,
        *,
        channels: Channels = "together",
    ) -> None:
        super().__init__()
        check_task(spec, "forecast")
        if channels not in get_args(Channels):
            raise ValueError(f"channels must be together or apart, came {channels!r}")
        if spec.horizon < 1:
            raise ValueError(f"{spec.name} asks to forecast {spec.horizon} steps; 1 or more needed")
        self.target = (spec.horizon, len(spec.targets) or spec.shape[-1])
        self.names = spec.targets
        self.summary = Summary(inp)
        self.apart = channels == "apart"
        at_once = 1 if self.apart else self.target[1]
        self.steps = nn.Linear(self.summary.dim, self.target[0] * at_once)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, *grid, dim), or (B · K, *grid, dim) of channels apart, mask → values (B, Z, K)."""
        change = self.steps(self.summary(x, mask))
        expected = len(batch.x) * (self.target[1] if self.apart else 1)
        if len(change) != expected:
            raise ValueError(
                f"{len(batch.x)} samples of {self.target[1]} targets came as {len(change)} rows of "
                f"features, expected {expected}: give stem.channels and head.channels one value"
            )
        if self.apart:
            change_BZK = change.unflatten(0, (-1, self.target[1])).transpose(1, 2)
        else:
            change_BZK = change.unflatten(-1, self.target)
        last_BK = references.last_value(batch)[:, : self.target[1]]
        return last_BK[:, None] + change_BZK

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over samples, steps and targets."""
        return F.mse_loss(prediction, batch.y)

    def weight(self, batch: Batch) -> int:
        """Samples."""
        return len(batch.y)

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """The prediction."""
        return self(x, mask, batch)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Errors of standardised values, and of values in the data's own units.

        sMAPE is the mean of 2·|ŷ - y| / (|ŷ| + |y|) (Makridakis 1993, without the factor 100).
        """

        def original(metric: Metric) -> Metric:
            return LambdaInputTransformer(metric, dataset.restore, dataset.restore)

        return {
            "mse": MeanSquaredError(),
            "mae": MeanAbsoluteError(),
            "mse_original": original(MeanSquaredError()),
            "mae_original": original(MeanAbsoluteError()),
            "smape": original(SymmetricMeanAbsolutePercentageError()),
        }

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch; every value counts once."""
        for metric in metrics.values():
            metric.update(answer.contiguous(), batch.y.contiguous())

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Values in the data's own units, (Z, K) each."""
        truth, said = (dataset.restore(values.cpu()).tolist() for values in (batch.y, answer))
        names = list(self.names)
        pairs = zip(truth, said, strict=True)
        return [{"truth": t, "prediction": p, "targets": names} for t, p in pairs]
