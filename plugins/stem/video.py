"""Video frame by frame, or as a grid of time and two axes of space."""

from __future__ import annotations

import math

from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, Reads
from quintain.kit.mask import counts, keep, mask_of
from quintain.kit.media.pixels import centred, check_variation, varied
from quintain.kit.stem import require


class Video(nn.Module):
    """x (B, T, C, H, W) → the grid (T, H, W) of C features, or T frames of C·H·W.

    Args:
        spec: of a video dataset; `lengths` count frames.
        reads: "grid" or "sequence" (of frames).
        mean, std: pixels are centred as (x - mean) / std, by constants as in the image stem;
            these fit small things that move on a dark ground.
        still: keep what stands still. False takes each clip's own mean over its real frames away
            instead of `mean`, so that what moves is seen best; not for causal heads, for the mean
            knows all frames.
        flip, shift: as in the image stem, in training only; the frames of a clip move as one.

    Raises:
        ValueError: the data is no video.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        reads: Reads,
        mean: float = 0.1,
        std: float = 0.3,
        still: bool = True,
        flip: float = 0.0,
        shift: int = 0,
    ) -> None:
        super().__init__()
        require(spec, "video")
        check_variation(spec, flip, shift)
        self.flip, self.shift = flip, shift
        frames, channels, height, width = spec.shape
        self.mean, self.std, self.still = mean, std, still
        self.reading = "grid" if reads == "grid" else "frames"
        if reads == "grid":
            self.out = Features(dim=channels, grid=(frames, height, width), masked=spec.ragged)
        else:
            dim = math.prod(spec.shape[1:])
            self.out = Features(dim=dim, grid=(frames,), masked=spec.ragged)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, C, H, W) → (B, *grid, dim), mask (B, T) where the clips differ in length."""
        if self.training and (self.flip or self.shift):
            frames = x.shape[1:3]
            x = varied(x.flatten(1, 2), self.flip, self.shift).unflatten(1, frames)
        x = centred(x, self.mean, self.std)
        mask = None if lengths is None else mask_of(lengths, x.shape[1])
        if not self.still:
            x = x - _mean_frame(x, mask)
        x = keep(x, mask)
        if len(self.out.grid) == 1:
            return x.flatten(2), mask
        return x.permute(0, 1, 3, 4, 2), mask


def _mean_frame(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, C, H, W), mask → mean over the real frames (B, 1, C, H, W)."""
    frames = counts(x, mask).clamp(min=1).to(x.dtype)
    return keep(x, mask).sum(1, keepdim=True) / frames[:, None, None, None, None]
