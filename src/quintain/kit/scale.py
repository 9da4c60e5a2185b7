"""Standardising by the train split, and back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

TINY = 1e-6  # a deviation below which a channel counts as constant and is only centred


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each channel, (channels,), both in the data's own units."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, train: Tensor) -> Scale:
        """Of (steps or samples, channels): population deviation, 1 for a constant channel."""
        mean, deviation = train.mean(0), train.std(0, correction=0)
        return cls(mean, deviation.masked_fill(deviation <= TINY * mean.abs().clamp(min=1), 1.0))

    def apply(self, values: Tensor) -> Tensor:
        """(…, channels) → standardised, float32."""
        return ((values - self.mean) / self.deviation).float()

    def undo(self, values: Tensor) -> Tensor:
        """Standardised (…, K), of the first K channels → in their own units."""
        count = values.shape[-1]
        mean, deviation = (t[:count].to(values) for t in (self.mean, self.deviation))
        return values * deviation + mean
