"""Which steps of a padded batch are real."""

from __future__ import annotations

import torch
from torch import Tensor


def real_steps(lengths: Tensor, steps: int) -> Tensor:
    """Lengths, long (B,), → mask, bool (B, steps), True where step < length."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]
