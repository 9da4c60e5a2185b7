"""Pictures of two or three coloured shapes, and what a person would say of them.

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
from quintain.kit.dataset import InMemory
from quintain.kit.text.words import pad

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
_PLACE: dict[Split, int] = {"test": 0, "val": 1}  # which diagonal of colours × shapes is held out
_SEED = 1971
_SIDE, _CELLS = 32, (5.0, 16.0, 27.0)
_SIZES = {False: 4.5, True: 2.75}  # half of a shape's side; small is said, large is not
_LONGEST = 20  # three small shapes, the second and third below and aside


class _Thing(NamedTuple):
    row: int
    column: int
    small: bool
    colour: str
    shape: str

    def __str__(self) -> str:
        return f"a {'small ' * self.small}{self.colour} {self.shape}"


class ShapeCaptions(InMemory):
    """5,200 scenes, x (3, 32, 32) in bytes, such as "a red circle above a small blue square".

    4,000 / 400 / 800. Five of the 25 pairs of a colour and a shape stand in the test alone, in
    each of its scenes at least one of them; five others likewise in validation. So each colour and
    each shape is known from training, and what is asked is to put them together. Shapes are named
    from top to bottom and from left to right; each picture has one caption.
    """

    def __init__(self) -> None:
        super().__init__(
            DataSpec(
                name="shape_captions",
                modality="image",
                task="generate",
                shape=(3, _SIDE, _SIDE),
                symbols=len(_WORDS),
                target_length=_LONGEST,
                generated=True,
            )
        )

    def load(self) -> dict[Split, Batch]:
        """Pictures, 16 MB, and the words of their captions."""
        random = np.random.default_rng(_SEED)
        return {split: _scenes(split, scenes, random) for split, scenes in _SCENES.items()}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words with spaces between them."""
        return " ".join(_WORDS[token] for token in tokens)


def _scenes(split: Split, scenes: int, random: np.random.Generator) -> Batch:
    drawn = [_draw(split, random) for _ in range(scenes)]
    x = np.stack([_paint(things, random) for things in drawn])
    texts = [[_WORDS.index(word) for word in _caption(things).split()] for things in drawn]
    y, lengths = pad(texts, _LONGEST)
    return Batch(torch.from_numpy(x), y, None, lengths)


def _draw(split: Split, random: np.random.Generator) -> list[_Thing]:
    """Two or three things in cells of their own; out of training, one at least is held out."""
    count = int(random.integers(2, 4))
    cells = np.sort(random.choice(9, count, replace=False))
    special = int(random.integers(count)) if split != "train" else -1
    things = []
    for place, cell in enumerate(cells.tolist()):
        colour, shape = _pair(split if place == special else "train", random)
        things.append(_Thing(cell // 3, cell % 3, bool(random.integers(2)), colour, shape))
    return things


def _pair(split: Split, random: np.random.Generator) -> tuple[str, str]:
    """A colour and a shape of those that belong to the split alone."""
    shape = int(random.integers(len(_SHAPES)))
    diagonal = _PLACE.get(split, int(random.integers(len(_PLACE), len(_COLOURS))))
    return tuple(_COLOURS)[(shape + diagonal) % len(_COLOURS)], _SHAPES[shape]


def _caption(things: Sequence[_Thing]) -> str:
    """Each thing and how it stands to the next, in the order of reading."""
    words = [str(things[0])]
    for one, other in pairwise(things):
        words += [_relation(one, other), str(other)]
    return " ".join(words)


def _relation(one: _Thing, other: _Thing) -> str:
    if one.row == other.row:
        return "left of"
    if one.column == other.column:
        return "above"
    return f"above and {'left' if one.column < other.column else 'right'} of"


def _paint(things: Sequence[_Thing], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Bytes (3, H, W). Sums and products of short binary fractions: the same on every machine."""
    picture = np.full((3, _SIDE, _SIDE), np.round(random.uniform(20, 60)))
    light = np.round(random.uniform(0.7, 1.1) * 64) / 64
    pixel = np.arange(_SIDE) + 0.5
    for thing in things:
        away = np.round(random.uniform(-0.75, 0.75, 2) * 16) / 16
        down = (pixel - _CELLS[thing.row] - away[0])[:, None]
        right = pixel - _CELLS[thing.column] - away[1]
        inside = _inside(thing.shape, down, right, _SIZES[thing.small])
        shade = np.array(_COLOURS[thing.colour])[:, None, None] * light
        picture = np.where(inside, shade, picture)
    grain = random.integers(-12, 13, picture.shape)
    return np.clip(np.round(picture) + grain, 0, 255).astype(np.uint8)


def _inside(shape: str, down: Floats, right: Floats, size: float) -> npt.NDArray[np.bool_]:
    """Which pixels (H, W) a shape covers, given their distances from its centre."""
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
