"""Two cores in one: an eye looks at each step, and a reader follows what it saw along the steps.

After the recurrent convolutional network of Donahue et al. (2015). Neither part knows of the other:
the eye is any core that reads a grid, the reader any core that reads a sequence.

Legend: B batch, T steps along the first axis, E features that the eye puts out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from quintain.contracts import Core, Features, Reads, Skip
from quintain.kit.mask import keep
from quintain.kit.widths import at_least_one

APART = 0.25  # the reader is so much wider: sizes of the two parts then grow in turns


class Hybrid(nn.Module):
    """An eye, then a reader along the first axis.

    Of a video (T, H, W) the eye summarises each frame for itself, all frames of a batch at once.
    Of two axes, as sound (T, mels) and an image (H, W) have, and of one, as text and series have,
    the eye keeps the first axis. The reader is told what the head asks and whether it is causal;
    an eye that is shown single frames cannot see another one and need not be told.

    Args:
        inp: features (B, *grid, D), with one to three axes.
        eye: builds a core that reads a grid, from features and a width.
        core: builds a core that reads a sequence, likewise.
        width: of both; it meets the budget, so neither part may have one of its own.
    """

    reads: ClassVar[Reads] = "grid"

    def __init__(
        self,
        inp: Features,
        *,
        eye: Callable[..., Core],
        core: Callable[..., Core],
        width: float = 64.0,
    ) -> None:
        super().__init__()
        at_least_one(width=width)
        _check(eye, core)
        if not 1 <= len(inp.grid) <= 3:
            raise Skip(f"looks at grids of one to three axes, not at {inp.grid}")
        self.frames = len(inp.grid) == 3
        told = {"grid": inp.grid[1:], "masked": False, "causal": False, "asks": "summary"}
        self.eye = eye(_like(inp, **(told if self.frames else {"asks": "positions"})), width=width)
        seen = self.eye.out.dim * math.prod(self.eye.out.grid if self.frames else ())
        self.core = core(_like(inp, dim=seen, grid=inp.grid[:1]), width=width + APART)
        self.out = self.core.out

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, *grid, D), mask → (B, T, E) from the eye → what the reader makes of it."""
        if not self.frames:
            return self.core(*self.eye(x, mask))
        seen, _ = self.eye(keep(x, mask).flatten(0, 1), None)
        return self.core(keep(seen.reshape(*x.shape[:2], -1), mask), mask)


def _like(features: Features, **changed: Any) -> Features:
    return Features(**{**vars(features), **changed})


def _check(eye: Callable[..., Core], core: Callable[..., Core]) -> None:
    """Raise ValueError with everything that is wrong with the two parts."""
    wrong = []
    for name, part, reads in (("eye", eye, "grid"), ("core", core, "sequence")):
        made: Any = getattr(part, "func", part)
        if getattr(made, "reads", None) != reads:
            wrong.append(
                f"{name} must be a core that reads a {reads}, with _partial_: true; came {part!r}"
            )
        elif "width" in getattr(part, "keywords", {}):
            wrong.append(f"{name} has a width of its own; set model.width, which is that of both")
    if wrong:
        raise ValueError("; ".join(wrong))
