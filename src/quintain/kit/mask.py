"""Padding: what lies behind a sample's length, and how to leave it out.

Legend: B batch, T steps, D features; `*` stands for further axes. A mask is bool (B, T), True where
a step is real; None where all are. Padding is always on the right, because `Batch.lengths` counts.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mask_of(lengths_B: Tensor, steps: int) -> Tensor:
    """Lengths, long (B,) → mask (B, steps)."""
    return torch.arange(steps, device=lengths_B.device) < lengths_B[:, None]


def keep(x: Tensor, mask_BT: Tensor | None, fill: float = 0.0) -> Tensor:
    """x (B, T, *), mask → x with `fill` behind the mask, whatever stood there, even NaN."""
    if mask_BT is None:
        return x
    return x.masked_fill(~_like(mask_BT, x), fill)


def counts(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """x (B, T, *), mask → number of real steps of each sample, long (B,)."""
    if mask_BT is None:
        return torch.full((x.shape[0],), x.shape[1], device=x.device)
    return mask_BT.sum(1)


def masked_mean(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """x (B, T, *, D), mask → mean over all real positions (B, D); 0 for a sample with none."""
    between = tuple(range(2, x.dim() - 1))
    x_BTD = x.mean(between) if between else x
    if mask_BT is None:
        return x_BTD.mean(1)
    return keep(x_BTD, mask_BT).sum(1) / mask_BT.sum(1, keepdim=True).clamp(min=1)


def last_valid(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """x (B, T, *), mask → the last real step of each sample (B, *)."""
    if mask_BT is None:
        return x[:, -1]
    last_B = (counts(x, mask_BT) - 1).clamp(min=0)
    return x[torch.arange(x.shape[0], device=x.device), last_B]


def reverse_valid(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """x (B, T, *), mask → each sample's real steps in reverse order, its padding left in place."""
    if mask_BT is None:
        return x.flip(1)
    steps_T = torch.arange(x.shape[1], device=x.device)
    mirrored_BT = counts(x, mask_BT)[:, None] - 1 - steps_T
    index_BT = torch.where(mirrored_BT >= 0, mirrored_BT, steps_T)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], index_BT]


def _like(mask_BT: Tensor, x: Tensor) -> Tensor:
    return mask_BT.reshape(*mask_BT.shape, *[1] * (x.dim() - 2))
