"""Clips of a road from a car that drifts: by how much must the wheels be turned?

Legend: N clips, T frames, H × W pixels, R rows below the horizon. Metres, seconds, radians; left is
positive.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.scale import Scale

Floats = npt.NDArray[np.float64]
Drawn = dict[str, Floats]

_CLIPS: dict[Split, int] = {"train": 2000, "val": 400, "test": 800}
_SEED, _AT_ONCE = 1989, 100
_FRAMES, _STEP = 10, 0.1
_HEIGHT, _WIDTH, _HORIZON = 24, 32, 7
_FOCAL, _CAMERA = 28.0, 1.25  # pixels; metres above the road
_LANE, _EDGE, _PAINT = (
    1.75,
    2.75,
    0.125,
)  # from the middle: paint, end of the asphalt; half a stripe
_DASH = 6.0  # of paint and gap together
_WHEELBASE, _UNDERSTEER = 2.7, 20.0  # m; m/s at which a bend needs twice the angle
_CENTRING, _DAMPING = 1.0, 0.08  # 1/s; s/m

_RANGES = {
    "aside": (-1.0, 1.0),  # of the car from the lane's middle, in the last frame
    "heading": (-0.1, 0.1),  # against the road's, in the last frame
    "turning": (-0.05, 0.05),  # change of the heading a second
    "wind": (-1.2, 1.2),  # pushes the car aside, m/s
    "speed": (8.0, 16.0),
    "bend": (-0.03, 0.03),  # curvature at the car, in the last frame, 1/m
    "bending": (-5e-4, 5e-4),  # its change along the road, 1/m²
    "light": (0.5, 1.1),
    "sky": (120.0, 230.0),  # grey levels
    "grass": (50.0, 150.0),
    "road": (70.0, 110.0),
    "dash": (0.0, _DASH),  # where the stripes begin
}


class Driving(InMemory):
    """3,200 clips, x (10, 1, 24, 32) in bytes, one second; 2,000 / 400 / 800; y in degrees.

    The road is a clothoid: its curvature changes evenly along the way. The angle is that of a
    Stanley controller at the last frame (Hoffmann et al. 2007, for small angles), with the
    curvature fed forward for an understeering car and the sideways speed damped,

        angle = wheelbase · bend · (1 + (speed / 20)²) - heading - aside / speed - 0.08 · drift.

    The drift, sideways speed from heading and wind, and the speed stand in no single frame.
    """

    def __init__(self) -> None:
        super().__init__(
            DataSpec(
                name="driving",
                modality="video",
                task="regress",
                shape=(_FRAMES, 1, _HEIGHT, _WIDTH),
                targets=("angle",),
                generated=True,
            )
        )
        self._scale: Scale | None = None

    def load(self) -> dict[Split, Batch]:
        """Films in 256 grey levels, 25 MB, and angles standardised by those of train."""
        random = np.random.default_rng(_SEED)
        shot = {split: _shoot(clips, random) for split, clips in _CLIPS.items()}
        self._scale = Scale.of(shot["train"].y)
        return {split: Batch(x, self._scale.apply(y)) for split, (x, y, *_) in shot.items()}

    def restore(self, y: Tensor) -> Tensor:
        """Standardised angles (…, 1) → degrees."""
        if self._scale is None:
            raise RuntimeError("dataset 'driving' is not loaded: call setup() first")
        return self._scale.undo(y)


class _Seen(NamedTuple):
    """What the camera sees of each frame, (N, T): where it is, and what the road does there."""

    aside: Floats
    heading: Floats
    bend: Floats
    way: Floats  # metres driven since the last frame, so at most 0


def _shoot(clips: int, random: np.random.Generator) -> Batch:
    """Films (N, T, 1, H, W) in bytes, and angles in degrees (N, 1), as yet in float64."""
    films, angles = [], []
    for _ in range(clips // _AT_ONCE):
        drawn = {name: random.uniform(low, high, _AT_ONCE) for name, (low, high) in _RANGES.items()}
        films.append(_film(drawn, _drive(drawn), random))
        angles.append(_angle(drawn))
    y = torch.from_numpy(np.concatenate(angles))[:, None]
    return Batch(torch.from_numpy(np.concatenate(films))[:, :, None], y)


def _angle(car: Drawn) -> Floats:
    """Degrees, (N,), in 1,024ths."""
    drift = car["speed"] * car["heading"] + car["wind"]
    ahead = _WHEELBASE * car["bend"] * (1 + (car["speed"] / _UNDERSTEER) ** 2)
    back = car["heading"] + _CENTRING * car["aside"] / car["speed"] + _DAMPING * drift
    return np.round((ahead - back) * (180 / math.pi * 1024)) / 1024


def _drive(car: Drawn) -> _Seen:
    """The last second of a drive, backwards from its last frame."""
    speed, heading, turning = (car[name][:, None] for name in ("speed", "heading", "turning"))
    ago = _STEP * np.arange(1 - _FRAMES, 1)  # seconds, at most 0
    way = speed * ago
    drift = speed * heading + car["wind"][:, None]
    return _Seen(
        aside=car["aside"][:, None] + drift * ago + speed * turning * ago * ago / 2,
        heading=heading + turning * ago,
        bend=car["bend"][:, None] + car["bending"][:, None] * way,
        way=way,
    )


def _film(drawn: Drawn, seen: _Seen, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grey levels (N, T, H, W).

    Only sums, products, quotients and remainders, none of them over several elements: IEEE 754
    rounds these alike everywhere, so each machine draws the same bytes.
    """
    shape = (len(seen.way), _FRAMES, _HEIGHT, _WIDTH)
    grey = np.broadcast_to(drawn["sky"][:, None, None, None], shape).copy()
    grey[:, :, _HORIZON:] = _ground(drawn, seen)
    flicker = random.uniform(0.9, 1.1, (*shape[:2], 1, 1))
    grain = random.uniform(-24, 24, shape)
    light = drawn["light"][:, None, None, None]
    return np.clip(np.round(grey * light * flicker + grain), 0, 255).astype(np.uint8)


def _ground(drawn: Drawn, seen: _Seen) -> Floats:
    """Grey levels below the horizon (N, T, R, W): each pixel looks at one spot of the plane."""
    rows = np.arange(_HORIZON, _HEIGHT) + 0.5 - _HORIZON
    ahead_R1 = (_FOCAL * _CAMERA / rows)[:, None]
    left_RW = (_WIDTH / 2 - 0.5 - np.arange(_WIDTH)) * ahead_R1 / _FOCAL
    aside, heading, bend, way = (part[..., None, None] for part in seen)
    bending, dash, grass, road = (
        drawn[name][:, None, None, None] for name in ("bending", "dash", "grass", "road")
    )
    bent = bend * ahead_R1**2 / 2 + bending * ahead_R1 * ahead_R1 * ahead_R1 / 6
    off = left_RW - (bent - aside - heading * ahead_R1)  # from the lane's middle
    pixel = ahead_R1 / _FOCAL  # its width on the road
    painted = np.remainder(way + ahead_R1 + dash, _DASH) < _DASH / 2
    stripes = np.maximum(_stripe(off + _LANE, pixel), _stripe(off - _LANE, pixel) * painted)
    beyond = np.clip((np.abs(off) - _EDGE) / pixel + 0.5, 0, 1)
    asphalt = road + (grass - road) * beyond
    return asphalt + (230 - asphalt) * stripes


def _stripe(off: Floats, pixel: Floats) -> Floats:
    """Share of a pixel that a stripe of paint covers, whose middle is `off` metres away."""
    right, left = np.maximum(off - pixel / 2, -_PAINT), np.minimum(off + pixel / 2, _PAINT)
    return np.clip((left - right) / pixel, 0, 1)
