"""Images of two or three coloured shapes, and captions that describe them.

Legend: N scenes, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.data.text.vocabulary import pad_tokens

Floats = npt.NDArray[np.float64]

_COLOURS = {
    "red": (220, 50, 40),
    "green": (50, 190, 60),
    "blue": (60, 90, 230),
    "yellow": (230, 210, 50),
    "purple": (170, 60, 190),
}
_SHAPES = ("circle", "square", "triangle", "cross", "diamond")
_RELATIONS = ("left of", "above", "above and left of", "above and right of")
_WORDS = tuple(sorted({"a", "small", *_COLOURS, *_SHAPES, *" ".join(_RELATIONS).split()}))
_SCENES: dict[Split, int] = {"train": 4000, "val": 400, "test": 800}
_DIAGONALS: dict[Split, int] = {"test": 0, "val": 1}  # held-out diagonals of colours × shapes
_SEED = 1971
_SIDE, _CELLS = 32, (5.0, 16.0, 27.0)
_SIZES = {False: 4.5, True: 2.75}  # half the side of a shape by `small`
_LONGEST = 20  # words of the longest caption, with three small shapes in different rows and columns


class _Shape(NamedTuple):
    row: int
    column: int
    small: bool
    colour: str
    shape: str

    def __str__(self) -> str:
        return f"a {'small ' * self.small}{self.colour} {self.shape}"


class ShapeCaptions(InMemory):
    """x uint8 (3, 32, 32), such as "a red circle above a small blue square"; 4,000 / 400 / 800.

    Five of the 25 pairs of a colour and a shape occur in the test only, where each scene has at
    least one of them; five others are likewise in validation only. So train has each colour and
    each shape, but not their combination. Captions describe the shapes from top to bottom and from
    left to right; each image has one caption.
    """

    def __init__(self) -> None:
        spec = DataSpec(
            name="shape_captions",
            modality="image",
            task="generate",
            shape=(3, _SIDE, _SIDE),
            symbols=len(_WORDS),
            target_length=_LONGEST,
            generated=True,
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        random = np.random.default_rng(_SEED)
        return {split: _make_scenes(split, count, random) for split, count in _SCENES.items()}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return " ".join(_WORDS[token] for token in tokens)


def _make_scenes(split: Split, count: int, random: np.random.Generator) -> Batch:
    scenes = [_draw_scene(split, random) for _ in range(count)]
    x = np.stack([_render(scene, random) for scene in scenes])
    texts = [[_WORDS.index(word) for word in _describe(scene).split()] for scene in scenes]
    y, lengths = pad_tokens(texts, _LONGEST)
    return Batch(torch.from_numpy(x), y, None, lengths)


def _draw_scene(split: Split, random: np.random.Generator) -> list[_Shape]:
    """Draw two or three shapes in different cells, at least one held-out pair except in train."""
    count = int(random.integers(2, 4))
    cells = np.sort(random.choice(9, count, replace=False))
    held_out = int(random.integers(count)) if split != "train" else -1
    shapes = []
    for number, cell in enumerate(cells.tolist()):
        colour, shape = _draw_pair(split if number == held_out else "train", random)
        shapes.append(_Shape(cell // 3, cell % 3, bool(random.integers(2)), colour, shape))
    return shapes


def _draw_pair(split: Split, random: np.random.Generator) -> tuple[str, str]:
    shape = int(random.integers(len(_SHAPES)))
    diagonal = _DIAGONALS.get(split, int(random.integers(len(_DIAGONALS), len(_COLOURS))))
    return tuple(_COLOURS)[(shape + diagonal) % len(_COLOURS)], _SHAPES[shape]


def _describe(scene: Sequence[_Shape]) -> str:
    words = [str(scene[0])]
    for first, second in pairwise(scene):
        words += [_relation(first, second), str(second)]
    return " ".join(words)


def _relation(first: _Shape, second: _Shape) -> str:
    if first.row == second.row:
        return "left of"
    if first.column == second.column:
        return "above"
    return f"above and {'left' if first.column < second.column else 'right'} of"


def _render(scene: Sequence[_Shape], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Render a scene as uint8 (3, H, W), with values that are exact on every machine."""
    image = np.full((3, _SIDE, _SIDE), np.round(random.uniform(20, 60)))
    light = np.round(random.uniform(0.7, 1.1) * 64) / 64
    pixel = np.arange(_SIDE) + 0.5
    for shape in scene:
        offset = np.round(random.uniform(-0.75, 0.75, 2) * 16) / 16
        down = (pixel - _CELLS[shape.row] - offset[0])[:, None]
        right = pixel - _CELLS[shape.column] - offset[1]
        mask = _shape_mask(shape.shape, down, right, _SIZES[shape.small])
        colour = np.array(_COLOURS[shape.colour])[:, None, None] * light
        image = np.where(mask, colour, image)
    grain = random.integers(-12, 13, image.shape)
    return np.clip(np.round(image) + grain, 0, 255).astype(np.uint8)


def _shape_mask(shape: str, down: Floats, right: Floats, size: float) -> npt.NDArray[np.bool_]:
    """Return the pixels (H, W) of a shape, given their distances from its centre."""
    far = np.maximum(np.abs(down), np.abs(right))
    if shape == "circle":
        return np.asarray(down * down + right * right <= size * size)
    if shape == "square":
        return np.asarray(far <= size * 0.875)
    if shape == "triangle":
        return np.asarray((down <= size * 0.875) & (np.abs(right) * 2 <= down + size))
    if shape == "cross":
        return np.asarray((far <= size) & (np.minimum(np.abs(down), np.abs(right)) <= size / 3))
    return np.asarray(np.abs(down) + np.abs(right) <= size * 1.125)
