"""Clips of moving handwritten digits; the class is the motion, which no single frame shows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import grid_sample

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.stratified import stratified_order

_CLASSES = ("left", "right", "up", "down", "clockwise", "counterclockwise", "grow", "shrink")
_FRAMES, _SIDE = 12, 16
_SEED = 2016
_CLIPS: dict[Split, int] = {"train": 2000, "val": 400, "test": 800}
_DIGITS: dict[Split, slice] = {
    "train": slice(0, 1200),
    "val": slice(1200, 1400),
    "test": slice(1400, None),
}
_SMALLEST, _LARGEST = 0.6, 1.4  # scale of the digit's 8 pixels; rotated, it still fits the canvas


class MovingDigits(InMemory):
    """3,200 clips of 12 frames, x uint8 (12, 1, 16, 16); 2,000 / 400 / 800; eight motions.

    A motion changes position, angle or size of a digit. Positions wrap around the canvas, angles
    around the circle, and sizes from the largest to the smallest. Their initial values are uniform
    at random, so a single frame has the same distribution in every class, and each class is another
    one played backwards. The digits are those of the dataset `digits`; no image is in two splits.
    """

    def __init__(self) -> None:
        spec = DataSpec(
            name="moving_digits",
            modality="video",
            task="classify",
            shape=(_FRAMES, 1, _SIDE, _SIDE),
            classes=_CLASSES,
            generated=True,
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        images, labels = load_digits(return_X_y=True)
        order = stratified_order(labels, _SEED)
        images = torch.from_numpy(images[order]).float().reshape(-1, 8, 8)
        random = np.random.default_rng(_SEED)
        return {
            split: _make_clips(images[_DIGITS[split]], clips, random)
            for split, clips in _CLIPS.items()
        }


class _Pose(NamedTuple):
    """The pose of a digit in each frame, (clips, frames): centre in pixels, angle, size."""

    across: np.ndarray
    down: np.ndarray
    angle: np.ndarray
    size: np.ndarray


def _make_clips(images: Tensor, clips: int, random: np.random.Generator) -> Batch:
    """Render random digits and motions; the classes alternate."""
    y = np.arange(clips) % len(_CLASSES)
    digits = torch.from_numpy(random.integers(len(images), size=clips))
    x = _render(images[digits], _draw_motion(y, random))
    return Batch(x, torch.from_numpy(y))


def _draw_motion(y: np.ndarray, random: np.random.Generator) -> _Pose:
    """Draw four phases in [0, 1), one of which increases or decreases depending on the class."""
    phases = random.random((4, len(y), 1)).repeat(_FRAMES, axis=2)
    speed = random.uniform(0.1, 0.15, len(y))  # cycles a frame
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


def _render(images: Tensor, pose: _Pose) -> Tensor:
    """Render digits (B, 8, 8) with levels 0…16 in their poses as uint8 (B, T, 1, 16, 16).

    All values are rounded to binary fractions that are so short that sums and products are exact in
    float32, so the result is the same on every machine.
    """
    cos, sin = (
        _round(turn(pose.angle) / pose.size, 10)[..., None, None] for turn in (np.cos, np.sin)
    )
    pixel = torch.arange(_SIDE) + 0.5
    right = _wrap(pixel - _round(pose.across, 4)[..., None])[..., None, :]
    below = _wrap(pixel - _round(pose.down, 4)[..., None])[..., :, None]
    # grid_sample has the image's edges at ±1, four pixels from its centre.
    grid = torch.stack((cos * right + sin * below, cos * below - sin * right), dim=-1) / 4
    grid = grid.mul_(64).round_().div_(64)
    clips = grid_sample(images[:, None], grid.flatten(1, 2), align_corners=False)
    clips = (clips * (255 / 16)).round_().byte()
    return clips.reshape(-1, _FRAMES, 1, _SIDE, _SIDE)


def _round(values: np.ndarray, bits: int) -> Tensor:
    """Round to multiples of 1 / 2**bits; return float32."""
    return torch.from_numpy(np.round(values * 2**bits) / 2**bits).float()


def _wrap(distance: Tensor) -> Tensor:
    """Return the shortest distance on the canvas, whose edges are joined, in [-8, 8)."""
    return torch.remainder(distance + _SIDE / 2, _SIDE) - _SIDE / 2
