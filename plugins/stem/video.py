"""Video frame by frame, or as a grid of time and two axes of space."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, Reads
from quintain.kit.mask import counts, keep, mask_of
from quintain.kit.media.pixels import centred, check_variation, varied
from quintain.kit.stem import require

Sees = Literal["pixels", "motion", "both"]


class Video(nn.Module):
    """x (B, T, C, H, W) → the grid (T, H, W) of C features, or T frames of C·H·W.

    Args:
        spec: of a video dataset; `lengths` count frames.
        reads: "grid" or "sequence" (of frames).
        mean, std: pixels are centred as (x - mean) / std, by constants as in the image stem;
            these fit small things that move on a dark ground.
        sees: "pixels"; "motion", which is pixels less the clip's own mean over its real frames, so
            that what moves is seen best; or "both", side by side. Motion is not for causal heads,
            for the mean knows all frames.
        motion_std: deviation by which motion is divided.
        flip, shift: as in the image stem, in training only; the frames of a clip move as one.
        crop: how many frames in a row are seen, of clips that all have as many: in training from a
            place drawn anew for each clip, else the middle ones. None: all. When exactly a word or
            a gesture begins is then not learnt by heart.

    Raises:
        ValueError: the data is no video, or a setting does not fit it.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        reads: Reads,
        mean: float = 0.1,
        std: float = 0.3,
        sees: Sees = "pixels",
        motion_std: float = 0.3,
        flip: float = 0.0,
        shift: int = 0,
        crop: int | None = None,
    ) -> None:
        super().__init__()
        require(spec, "video")
        check_variation(spec, flip, shift)
        _check(spec, sees, motion_std, crop)
        self.flip, self.shift = flip, shift
        frames, channels, height, width = spec.shape
        self.frames = frames = crop or frames
        self.mean, self.std, self.sees, self.motion_std = mean, std, sees, motion_std
        channels *= 2 if sees == "both" else 1
        self.reading = "grid" if reads == "grid" else "frames"
        if reads == "grid":
            self.out = Features(dim=channels, grid=(frames, height, width), masked=spec.ragged)
        else:
            dim = channels * height * width
            self.out = Features(dim=dim, grid=(frames,), masked=spec.ragged)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, C, H, W) → (B, *grid, dim), mask (B, T) where the clips differ in length."""
        if x.shape[1] > self.frames and lengths is None:
            x = self._cropped(x)
        if self.training and (self.flip or self.shift):
            frames = x.shape[1:3]
            x = varied(x.flatten(1, 2), self.flip, self.shift).unflatten(1, frames)
        mask = None if lengths is None else mask_of(lengths, x.shape[1])
        x = keep(self._seen(centred(x, self.mean, self.std), mask), mask)
        if len(self.out.grid) == 1:
            return x.flatten(2), mask
        return x.permute(0, 1, 3, 4, 2), mask

    def _seen(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C, H, W) of centred pixels → the same, or twice the channels."""
        if self.sees == "pixels":
            return x
        motion = (x - _mean_frame(x, mask)) * (self.std / self.motion_std)
        return motion if self.sees == "motion" else torch.cat((x, motion), 2)

    def _cropped(self, x: Tensor) -> Tensor:
        """(B, T, C, H, W) → (B, frames, C, H, W)."""
        spare = x.shape[1] - self.frames
        if not self.training:
            return x[:, spare // 2 :][:, : self.frames]
        start_B = torch.randint(spare + 1, (len(x),), device=x.device)
        place_BT = start_B[:, None] + torch.arange(self.frames, device=x.device)
        return x[torch.arange(len(x), device=x.device)[:, None], place_BT]


def _check(spec: DataSpec, sees: str, motion_std: float, crop: int | None) -> None:
    """Raise ValueError with everything that is wrong."""
    wrong = []
    if not motion_std > 0:
        wrong.append(f"stem.motion_std must be above 0, came {motion_std}")
    if sees not in get_args(Sees):
        wrong.append(f"stem.sees is one of {', '.join(get_args(Sees))}; came {sees!r}")
    if crop is not None and spec.ragged:
        wrong.append(f"stem.crop needs clips of one length, and those of {spec.name} differ")
    elif crop is not None and not 1 <= crop <= spec.shape[0]:
        wrong.append(f"stem.crop is from 1 to the clip's {spec.shape[0]} frames; came {crop}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _mean_frame(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, C, H, W), mask → mean over the real frames (B, 1, C, H, W)."""
    frames = counts(x, mask).clamp(min=1).to(x.dtype)
    return keep(x, mask).sum(1, keepdim=True) / frames[:, None, None, None, None]
