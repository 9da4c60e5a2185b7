"""Pixels as bytes: a quarter of the memory and of the way to the device; the stem makes floats."""

from __future__ import annotations

import torch
from torch import Tensor

from quintain.contracts import DataSpec


def centred(x: Tensor, mean: float, std: float) -> Tensor:
    """Pixels, bytes from 0 to 255 or floats from 0 to 1 → (pixels in [0, 1] - mean) / std."""
    if x.is_floating_point():
        return (x - mean) / std
    return x.to(torch.get_default_dtype()).sub_(255 * mean).div_(255 * std)


def check_variation(spec: DataSpec, flip: float, shift: int) -> None:
    """Raise ValueError for a probability that is none, or a shift past the picture's edge."""
    side = min(spec.shape[-2:])
    if not 0 <= flip <= 1 or not 0 <= shift < side:
        raise ValueError(
            f"stem.flip is a probability and stem.shift is from 0 to {side - 1} pixels; "
            f"came {flip} and {shift}"
        )


def varied(x: Tensor, flip: float, shift: int) -> Tensor:
    """(B, C, H, W) → each image mirrored and moved at random, for itself.

    Args:
        x: pixels; of a clip, all frames as channels, so that they move as one.
        flip: probability that an image is mirrored left to right.
        shift: pixels that it is moved at most, each way; what comes in repeats the edge, for a
            black border would be what is most striking in a bright picture.
    """
    if flip:
        mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < flip
        x = torch.where(mirrored, x.flip(-1), x)
    return _moved(x, shift) if shift else x


def _moved(x: Tensor, most: int) -> Tensor:
    """Each image moved by steps of its own, its edges repeated."""
    (height, width), device = x.shape[-2:], x.device
    down_B, across_B = torch.randint(-most, most + 1, (2, len(x)), device=device)
    rows_BH = (down_B[:, None] + torch.arange(height, device=device)).clamp(0, height - 1)
    columns_BW = (across_B[:, None] + torch.arange(width, device=device)).clamp(0, width - 1)
    image_B11 = torch.arange(len(x), device=device)[:, None, None]
    cut = x[image_B11, :, rows_BH[:, :, None], columns_BW[:, None, :]]  # (B, H, W, C)
    return cut.permute(0, 3, 1, 2).contiguous()  # as bytes; what follows is floats
