"""Standardise values by the mean and standard deviation of the train split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from quintain.errors import DataError


@dataclass(frozen=True)
class StandardScaler:
    """Mean and population standard deviation of each channel, (channels,)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def fit(cls, train: Tensor) -> StandardScaler:
        """Fit to values (N, channels); the deviation of a constant channel is set to 1.

        A channel is constant if its deviation is not larger than the rounding error of its mean, so
        that the unit of a channel does not matter.

        Raises:
            DataError: values are so large that their variance is not a number.
        """
        mean, deviation = train.mean(0), train.std(0, correction=0)
        if not bool(deviation.isfinite().all()):
            raise DataError(
                f"values up to {train.abs().max():.3g} are too large to be standardised; divide "
                "them by a constant"
            )
        is_constant = deviation <= 8 * torch.finfo(train.dtype).eps * mean.abs()
        return cls(mean, deviation.masked_fill(is_constant, 1.0))

    def transform(self, values: Tensor) -> Tensor:
        """Standardise values (…, channels); return float32."""
        return ((values - self.mean) / self.deviation).float()

    def inverse_transform(self, values: Tensor) -> Tensor:
        """Return standardised values (…, K) of the first K channels in original units.

        The result is float64, since float32 cannot tell 100,000,001 from 100,000,000. It is on the
        CPU where the device has no float64 (Apple's GPUs).
        """
        count = values.shape[-1]
        values = values.cpu() if values.device.type == "mps" else values
        mean, deviation = (
            t[:count].to(values.device).double() for t in (self.mean, self.deviation)
        )
        return values.double() * deviation + mean
