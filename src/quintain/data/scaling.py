"""Standardise values by the mean and standard deviation of the train split."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

MIN_DEVIATION = 1e-6  # relative to the mean; below it, a channel is constant and only centred


@dataclass(frozen=True)
class StandardScaler:
    """Mean and population standard deviation of each channel, (channels,)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def fit(cls, train: Tensor) -> StandardScaler:
        """Fit to values (N, channels); the deviation of a constant channel is set to 1."""
        mean, deviation = train.mean(0), train.std(0, correction=0)
        is_constant = deviation <= MIN_DEVIATION * mean.abs().clamp(min=1)
        return cls(mean, deviation.masked_fill(is_constant, 1.0))

    def transform(self, values: Tensor) -> Tensor:
        """Standardise values (…, channels); return float32."""
        return ((values - self.mean) / self.deviation).float()

    def inverse_transform(self, values: Tensor) -> Tensor:
        """Return standardised values (…, K) of the first K channels in original units."""
        count = values.shape[-1]
        mean, deviation = (t[:count].to(values) for t in (self.mean, self.deviation))
        return values * deviation + mean
