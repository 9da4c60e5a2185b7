"""Masks for padded batches, and operations that ignore the padding.

Legend: B batch, T steps, D features; `*` stands for further axes. A mask is bool (B, T), True where
a step is valid; None where all steps are. Padding is on the right: a sample of length n has the
steps 0 to n - 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def length_mask(lengths_B: Tensor, steps: int) -> Tensor:
    """Return the mask (B, steps) of samples with lengths (B,), long."""
    return torch.arange(steps, device=lengths_B.device) < lengths_B[:, None]


def mask_fill(x: Tensor, mask_BT: Tensor | None, fill: float = 0.0) -> Tensor:
    """Return x (B, T, *) with `fill` in the padding, even where the padding was NaN."""
    if mask_BT is None:
        return x
    return x.masked_fill(~mask_BT.reshape(*mask_BT.shape, *[1] * (x.dim() - 2)), fill)


def count_valid(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Count the valid steps of each sample of x (B, T, *), long (B,)."""
    if mask_BT is None:
        return torch.full((x.shape[0],), x.shape[1], device=x.device)
    return mask_BT.sum(1)


def masked_mean(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Return the mean (B, D) of x (B, T, *, D) over its valid positions; 0 where there are none."""
    inner_axes = tuple(range(2, x.dim() - 1))
    x_BTD = x.mean(inner_axes) if inner_axes else x
    if mask_BT is None:
        return x_BTD.mean(1)
    return mask_fill(x_BTD, mask_BT).sum(1) / mask_BT.sum(1, keepdim=True).clamp(min=1)


def last_valid(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Return the last valid step (B, *) of each sample of x (B, T, *)."""
    if mask_BT is None:
        return x[:, -1]
    last_B = (count_valid(x, mask_BT) - 1).clamp(min=0)
    return x[torch.arange(x.shape[0], device=x.device), last_B]


def select_valid(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Return the N valid steps of x (B, T, *), sample by sample: (N, *)."""
    return x.flatten(0, 1) if mask_BT is None else x[mask_BT]


def unpad(x_BT: Tensor, lengths_B: Tensor | None) -> list[list[Any]]:
    """Return each sample of x (B, T) as a list without its padding."""
    rows: list[list[Any]] = x_BT.tolist()
    if lengths_B is None:
        return rows
    return [row[:length] for row, length in zip(rows, lengths_B.tolist(), strict=True)]


def reverse_valid(x: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Reverse the valid steps of each sample of x (B, T, *); its padding stays in place."""
    if mask_BT is None:
        return x.flip(1)
    steps_T = torch.arange(x.shape[1], device=x.device)
    mirrored_BT = count_valid(x, mask_BT)[:, None] - 1 - steps_T
    index_BT = torch.where(mirrored_BT >= 0, mirrored_BT, steps_T)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], index_BT]
