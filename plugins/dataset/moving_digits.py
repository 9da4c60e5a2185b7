"""Clips of handwritten digits that move: what is asked is the motion, which no frame shows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import grid_sample

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.strata import stratified_order

_CLASSES = ("left", "right", "up", "down", "clockwise", "counterclockwise", "grow", "shrink")
_FRAMES, _SIDE = 12, 16
_SEED = 2016
_CLIPS: dict[Split, int] = {"train": 2000, "val": 400, "test": 800}
_DIGITS: dict[Split, slice] = {
    "train": slice(0, 1200),
    "val": slice(1200, 1400),
    "test": slice(1400, None),
}
_SMALLEST, _LARGEST = 0.6, 1.4  # of the digit's own 8 pixels; turned, it still fits the canvas


class MovingDigits(InMemory):
    """3,200 clips of 12 frames, x (12, 1, 16, 16) in bytes; 2,000 / 400 / 800; eight motions.

    Position lies on a torus, angle on a circle, and size on a circle too: what has grown to the
    largest starts again as the smallest. Each begins uniformly at random in every clip and each
    motion only shifts one of them, so a single frame has the same distribution in every class,
    and each class is another one played backwards. The digits themselves are real, those of
    `digits`, with no image in two splits.
    """

    def __init__(self) -> None:
        super().__init__(
            DataSpec(
                name="moving_digits",
                modality="video",
                task="classify",
                shape=(_FRAMES, 1, _SIDE, _SIDE),
                classes=_CLASSES,
                generated=True,
            )
        )

    def load(self) -> dict[Split, Batch]:
        """Clips in 256 grey levels, 9 MB."""
        images, labels = load_digits(return_X_y=True)
        order = stratified_order(labels, _SEED)
        images = torch.from_numpy(images[order]).float().reshape(-1, 8, 8)
        random = np.random.default_rng(_SEED)
        return {
            split: _clips(images[_DIGITS[split]], clips, random) for split, clips in _CLIPS.items()
        }


class _Pose(NamedTuple):
    """Where a digit is in each frame, (clips, frames): centre in pixels, angle, size."""

    across: np.ndarray
    down: np.ndarray
    angle: np.ndarray
    size: np.ndarray


def _clips(images: Tensor, clips: int, random: np.random.Generator) -> Batch:
    """Draw digits and motions, the classes in turn, and film them."""
    y = np.arange(clips) % len(_CLASSES)
    chosen = torch.from_numpy(random.integers(len(images), size=clips))
    x = _film(images[chosen], _motion(y, random))
    return Batch(x, torch.from_numpy(y))


def _motion(y: np.ndarray, random: np.random.Generator) -> _Pose:
    """Four phases in [0, 1), one of which runs forwards or backwards as the class says."""
    phases = random.random((4, len(y), 1)).repeat(_FRAMES, axis=2)
    speed = random.uniform(0.1, 0.15, len(y))  # turns of the circle in a frame
    axis, forwards = np.array([0, 0, 1, 1, 2, 2, 3, 3]), np.array([-1, 1, -1, 1, 1, -1, 1, -1])
    step = (forwards[y] * speed)[:, None] * np.arange(_FRAMES)
    clip = np.arange(len(y))
    phases[axis[y], clip] = (phases[axis[y], clip] + step) % 1
    across, down, angle, size = phases
    return _Pose(
        across * _SIDE,
        down * _SIDE,
        angle * 2 * math.pi,
        _SMALLEST * (_LARGEST / _SMALLEST) ** size,
    )


def _film(images: Tensor, pose: _Pose) -> Tensor:
    """Digits (B, 8, 8) with levels 0…16 and poses → clips in bytes, (B, T, 1, 16, 16).

    Everything that meets a pixel is rounded to a binary fraction so short that all sums and
    products below are exact in float32: each machine draws the same bits.
    """
    turn_x, turn_y = np.cos(pose.angle) / pose.size, np.sin(pose.angle) / pose.size
    cos, sin = (_rounded(turn, 10)[..., None, None] for turn in (turn_x, turn_y))
    pixel = torch.arange(_SIDE) + 0.5
    right = _around(pixel - _rounded(pose.across, 4)[..., None])[..., None, :]
    below = _around(pixel - _rounded(pose.down, 4)[..., None])[..., :, None]
    # grid_sample has the image's edges at ±1, four pixels from its centre
    where = torch.stack((cos * right + sin * below, cos * below - sin * right), dim=-1) / 4
    where = where.mul_(64).round_().div_(64)
    sheets = images[:, None]
    film = grid_sample(sheets, where.flatten(1, 2), align_corners=False)
    film = (film * (255 / 16)).round_().byte()
    return film.reshape(-1, _FRAMES, 1, _SIDE, _SIDE)


def _rounded(values: np.ndarray, bits: int) -> Tensor:
    """To multiples of 2⁻ᵇⁱᵗˢ, as float32."""
    return torch.from_numpy(np.round(values * 2**bits) / 2**bits).float()


def _around(distance: Tensor) -> Tensor:
    """The shorter way on a circle of the canvas' side: [-8, 8)."""
    return torch.remainder(distance + _SIDE / 2, _SIDE) - _SIDE / 2
