"""A frame encoder, whose output at each step is the input of a sequence model.

It generalises the recurrent convolutional network of Donahue et al. (2015): the frame encoder can
be any core with input layout "grid", and the sequence model any core with "sequence".

Legend: B batch, T steps along the first axis, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn

from quintain.contracts import Core, Features, InputLayout, Unsupported
from quintain.nn.checks import check_at_least_one, raise_problems
from quintain.nn.mask import mask_fill

# Added to the width of the sequence model, so that the two parts get their next unit at different
# widths and the parameter count grows in small steps.
WIDTH_OFFSET = 0.25


class Hybrid(nn.Module):
    """A frame encoder, then a sequence model along the first axis.

    A grid of three axes (T, H, W) is a video: the frame encoder encodes each frame by itself. On
    two axes, such as (T, mels) of speech and (H, W) of images, and on one axis, such as that of
    text, it encodes the whole sample and keeps the first axis.

    Args:
        inp: features (B, *grid, D), with one to three axes.
        frame_encoder, sequence_model: functions of `Features` and `width` that build cores with
            input layouts "grid" and "sequence".
        width: width of both parts, which therefore may not set their own.

    Raises:
        ValueError: a part is not such a function, or sets a width.
        Unsupported: the grid has more than three axes.
    """

    input_layout: ClassVar[InputLayout] = "grid"

    def __init__(
        self,
        inp: Features,
        *,
        frame_encoder: Callable[..., Core],
        sequence_model: Callable[..., Core],
        width: float = 64.0,
    ) -> None:
        super().__init__()
        check_at_least_one(width=width)
        encoder_problems = _find_problems("frame_encoder", frame_encoder, "grid")
        sequence_problems = _find_problems("sequence_model", sequence_model, "sequence")
        raise_problems([*encoder_problems, *sequence_problems])
        if len(inp.grid) > 3:
            raise Unsupported(f"a hybrid reads grids of one to three axes, not {inp.grid}")
        self.is_video = len(inp.grid) == 3
        if self.is_video:
            frame = Features(dim=inp.dim, grid=inp.grid[1:])
            self.frame_encoder = frame_encoder(frame, width=width)
            dim = self.frame_encoder.out.dim * math.prod(self.frame_encoder.out.grid)
        else:
            self.frame_encoder = frame_encoder(replace(inp, output_mode="positions"), width=width)
            dim = self.frame_encoder.out.dim
        steps = replace(inp, dim=dim, grid=inp.grid[:1])
        self.sequence_model = sequence_model(steps, width=width + WIDTH_OFFSET)
        self.out = self.sequence_model.out

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, *inp.grid, D), mask → (B, *out.grid, out.dim), mask."""
        if not self.is_video:
            return self.sequence_model(*self.frame_encoder(x, mask))
        frames, _ = self.frame_encoder(mask_fill(x, mask).flatten(0, 1), None)
        return self.sequence_model(mask_fill(frames.reshape(*x.shape[:2], -1), mask), mask)


def _find_problems(
    name: str, part: Callable[..., Core], input_layout: InputLayout
) -> Iterator[str]:
    core_class: Any = getattr(part, "func", part)  # `_partial_: true` gives a functools.partial
    if getattr(core_class, "input_layout", None) != input_layout:
        yield (
            f"{name} must be a core with input layout {input_layout} and _partial_: true; got "
            f"{part!r}"
        )
    elif "width" in getattr(part, "keywords", {}):
        yield f"{name} sets a width; set model.width, which applies to both parts"
