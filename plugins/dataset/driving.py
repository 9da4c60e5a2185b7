"""Clips of a road, seen from a drifting car; the target is the steering angle.

Units are metres, seconds and radians; left is positive.

Legend: N clips, T frames, H × W pixels, R rows below the horizon.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.scaling import StandardScaler

Floats = npt.NDArray[np.float64]
Scenes = dict[str, Floats]  # a value (N,) for each name in _RANGES

_CLIPS: dict[Split, int] = {"train": 2000, "val": 400, "test": 800}
_SEED = 1989
_CHUNK = 100  # clips rendered together
_FRAMES, _STEP = 10, 0.1
_HEIGHT, _WIDTH, _HORIZON = 24, 32, 7
_FOCAL, _CAMERA = 28.0, 1.25  # pixels; metres above the road
_LANE, _EDGE = 1.75, 2.75  # metres from the lane's middle to the stripes and the edges
_HALF_STRIPE, _DASH = 0.125, 6.0  # half the width of a stripe; length of paint and gap
_WHEELBASE, _UNDERSTEER = 2.7, 20.0  # m; m/s at which a bend needs twice the angle
_CENTRING, _DAMPING = 1.0, 0.08  # 1/s; s/m

_RANGES = {
    "aside": (-1.0, 1.0),  # position relative to the middle of the lane, in the last frame
    "heading": (-0.1, 0.1),  # relative to the direction of the road, in the last frame
    "turning": (-0.05, 0.05),  # change of the heading, 1/s
    "wind": (-1.2, 1.2),  # sideways speed from wind, m/s
    "speed": (8.0, 16.0),
    "bend": (-0.03, 0.03),  # curvature at the car, in the last frame, 1/m
    "bending": (-5e-4, 5e-4),  # its change along the road, 1/m²
    "light": (0.5, 1.1),
    "sky": (120.0, 230.0),  # grey levels
    "grass": (50.0, 150.0),
    "road": (70.0, 110.0),
    "dash": (0.0, _DASH),  # start of the stripes
}


class Driving(InMemory):
    """3,200 clips of one second, x uint8 (10, 1, 24, 32), y in degrees; 2,000 / 400 / 800.

    The road is a clothoid, whose curvature changes linearly with distance. The angle is that of a
    Stanley controller at the last frame (Hoffmann et al. 2007, for small angles), with feed-forward
    of the curvature for an understeering car and damping of the sideways speed,

        angle = wheelbase · bend · (1 + (speed / 20)²) - heading - aside / speed - 0.08 · drift.

    No single frame shows the speed or the drift (the sideways speed that comes from heading
    and wind).
    """

    def __init__(self) -> None:
        spec = DataSpec(
            name="driving",
            modality="video",
            task="regress",
            shape=(_FRAMES, 1, _HEIGHT, _WIDTH),
            targets=("angle",),
            generated=True,
        )
        super().__init__(spec)
        self._scaler: StandardScaler | None = None

    def load(self) -> dict[Split, Batch]:
        random = np.random.default_rng(_SEED)
        clips = {split: _make_clips(count, random) for split, count in _CLIPS.items()}
        self._scaler = StandardScaler.fit(clips["train"].y)
        return {split: Batch(x, self._scaler.transform(y)) for split, (x, y, *_) in clips.items()}

    def inverse_transform(self, y: Tensor) -> Tensor:
        if self._scaler is None:
            raise RuntimeError("dataset 'driving' is not loaded: call setup() first")
        return self._scaler.inverse_transform(y)


class _View(NamedTuple):
    """The position of the camera and the curvature of the road in each frame, (N, T)."""

    aside: Floats
    heading: Floats
    bend: Floats
    travelled: Floats  # metres along the road, 0 in the last frame and negative before it


def _make_clips(count: int, random: np.random.Generator) -> Batch:
    """Return clips, uint8 (N, T, 1, H, W), and angles in degrees, float64 (N, 1)."""
    clips, angles = [], []
    for _ in range(count // _CHUNK):
        scenes = {name: random.uniform(low, high, _CHUNK) for name, (low, high) in _RANGES.items()}
        clips.append(_render(scenes, _drive(scenes), random))
        angles.append(_steering_angle(scenes))
    y = torch.from_numpy(np.concatenate(angles))[:, None]
    return Batch(torch.from_numpy(np.concatenate(clips))[:, :, None], y)


def _steering_angle(car: Scenes) -> Floats:
    """Return the target in degrees, (N,), rounded to multiples of 1 / 1024."""
    drift = car["speed"] * car["heading"] + car["wind"]
    feed_forward = _WHEELBASE * car["bend"] * (1 + (car["speed"] / _UNDERSTEER) ** 2)
    feedback = car["heading"] + _CENTRING * car["aside"] / car["speed"] + _DAMPING * drift
    return np.round((feed_forward - feedback) * (180 / math.pi * 1024)) / 1024


def _drive(car: Scenes) -> _View:
    """Compute position and heading in all frames from those in the last one."""
    speed, heading, turning = (car[name][:, None] for name in ("speed", "heading", "turning"))
    time = _STEP * np.arange(1 - _FRAMES, 1)  # seconds, at most 0
    travelled = speed * time
    drift = speed * heading + car["wind"][:, None]
    return _View(
        aside=car["aside"][:, None] + drift * time + speed * turning * time * time / 2,
        heading=heading + turning * time,
        bend=car["bend"][:, None] + car["bending"][:, None] * travelled,
        travelled=travelled,
    )


def _render(scenes: Scenes, view: _View, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Render grey levels (N, T, H, W).

    All operations are elementwise sums, products, quotients and remainders, which IEEE 754 defines
    exactly, so the result is the same on every machine.
    """
    shape = (len(view.travelled), _FRAMES, _HEIGHT, _WIDTH)
    grey = np.broadcast_to(scenes["sky"][:, None, None, None], shape).copy()
    grey[:, :, _HORIZON:] = _render_ground(scenes, view)
    flicker = random.uniform(0.9, 1.1, (*shape[:2], 1, 1))
    grain = random.uniform(-24, 24, shape)
    light = scenes["light"][:, None, None, None]
    return np.clip(np.round(grey * light * flicker + grain), 0, 255).astype(np.uint8)


def _render_ground(scenes: Scenes, view: _View) -> Floats:
    """Render the pixels below the horizon (N, T, R, W), each a point of the ground plane."""
    rows = np.arange(_HORIZON, _HEIGHT) + 0.5 - _HORIZON
    ahead_R1 = (_FOCAL * _CAMERA / rows)[:, None]
    left_RW = (_WIDTH / 2 - 0.5 - np.arange(_WIDTH)) * ahead_R1 / _FOCAL
    aside, heading, bend, travelled = (part[..., None, None] for part in view)
    bending, dash, grass, road = (
        scenes[name][:, None, None, None] for name in ("bending", "dash", "grass", "road")
    )
    road_left = bend * ahead_R1**2 / 2 + bending * ahead_R1 * ahead_R1 * ahead_R1 / 6
    offset = left_RW - (road_left - aside - heading * ahead_R1)  # from the lane's middle
    pixel = ahead_R1 / _FOCAL  # width of a pixel on the road
    is_painted = np.remainder(travelled + ahead_R1 + dash, _DASH) < _DASH / 2
    stripes = np.maximum(
        _stripe_share(offset + _LANE, pixel), _stripe_share(offset - _LANE, pixel) * is_painted
    )
    grass_share = np.clip((np.abs(offset) - _EDGE) / pixel + 0.5, 0, 1)
    ground = road + (grass - road) * grass_share
    return ground + (230 - ground) * stripes


def _stripe_share(offset: Floats, pixel: Floats) -> Floats:
    """Return the fraction of a pixel covered by a stripe whose middle is `offset` metres away."""
    right = np.maximum(offset - pixel / 2, -_HALF_STRIPE)
    left = np.minimum(offset + pixel / 2, _HALF_STRIPE)
    return np.clip((left - right) / pixel, 0, 1)
