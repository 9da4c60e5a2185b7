"""Normalise and augment pixels.

Datasets store pixels as uint8, a quarter of the memory and of the transfer to the device; the input
layer (stem) converts them to floats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from quintain.contracts import DataSpec


def normalize_pixels(x: Tensor, mean: float, std: float) -> Tensor:
    """Return (x - mean) / std of pixels in [0, 1]; uint8 pixels are divided by 255 first."""
    if x.is_floating_point():
        return (x - mean) / std
    return x.to(torch.get_default_dtype()).sub_(255 * mean).div_(255 * std)


def check_augmentation(spec: DataSpec, flip: float, shift: int) -> None:
    """Raise `ValueError` unless `flip` is a probability and `shift` is smaller than the image."""
    side = min(spec.shape[-2:])
    if not 0 <= flip <= 1 or not 0 <= shift < side:
        raise ValueError(
            f"stem.flip must be a probability and stem.shift from 0 to {side - 1} pixels; "
            f"got {flip} and {shift}"
        )


def augment(x: Tensor, flip: float, shift: int) -> Tensor:
    """Mirror and shift each image at random.

    Args:
        x: pixels (B, C, H, W). For clips, C holds the channels of all frames, so that the frames of
            a clip move together.
        flip: probability that an image is mirrored left to right.
        shift: largest shift in pixels, in each direction; new pixels repeat the edge, because a
            black border would be a strong signal in a bright image.
    """
    if flip:
        is_mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < flip
        x = torch.where(is_mirrored, x.flip(-1), x)
    return _shift_randomly(x, shift) if shift else x


def _shift_randomly(x: Tensor, limit: int) -> Tensor:
    (height, width), device = x.shape[-2:], x.device
    down_B, right_B = torch.randint(-limit, limit + 1, (2, len(x)), device=device)
    rows_BH = (down_B[:, None] + torch.arange(height, device=device)).clamp(0, height - 1)
    columns_BW = (right_B[:, None] + torch.arange(width, device=device)).clamp(0, width - 1)
    image_B11 = torch.arange(len(x), device=device)[:, None, None]
    shifted = x[image_B11, :, rows_BH[:, :, None], columns_BW[:, None, :]]  # (B, H, W, C)
    # Copying uint8 pixels here is cheaper than copying floats later.
    return shifted.permute(0, 3, 1, 2).contiguous()
