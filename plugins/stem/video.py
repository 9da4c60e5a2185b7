"""The stem of videos: a grid of time, height and width, or a sequence of frames.

Legend: B batch, T frames, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, InputLayout
from quintain.data.image.pixels import augment, check_augmentation, normalize_pixels
from quintain.nn.checks import check_modality, raise_problems
from quintain.nn.mask import count_valid, length_mask, mask_fill

Sees = Literal["pixels", "motion", "both"]


class Video(nn.Module):
    """Turns clips (B, T, C, H, W) into a grid (B, T, H, W, C), or a sequence (B, T, C · H · W).

    Args:
        mean, std: constants that normalise pixels as (x - mean) / std. The defaults suit small
            bright objects on black.
        sees: "pixels"; "motion", the pixels minus their mean over the valid frames of the clip,
            which removes a static background; or "both", with twice the channels. Motion does not
            suit causal heads, because the mean depends on all frames.
        motion_std: standard deviation that motion is divided by.
        flip, shift: as in the image stem, the same for all frames of a clip.
        crop: number of consecutive frames that are used, where all clips have the same length: from
            a random position in training, so that a model cannot memorise when a word or gesture
            begins, else from the middle. None: all frames.

    Raises:
        ValueError: the dataset has no videos, or a setting does not suit it.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        input_layout: InputLayout,
        mean: float = 0.1,
        std: float = 0.3,
        sees: Sees = "pixels",
        motion_std: float = 0.3,
        flip: float = 0.0,
        shift: int = 0,
        crop: int | None = None,
    ) -> None:
        super().__init__()
        check_modality(spec, "video")
        check_augmentation(spec, flip, shift)
        raise_problems(_find_problems(spec, sees, motion_std, crop))
        self.flip, self.shift = flip, shift
        frames, channels, height, width = spec.shape
        self.frames = frames = crop or frames
        self.mean, self.std, self.sees, self.motion_std = mean, std, sees, motion_std
        channels *= 2 if sees == "both" else 1
        self.layout = "grid" if input_layout == "grid" else "frames"
        dim, grid = channels * height * width, (frames,)
        if input_layout == "grid":
            dim, grid = channels, (frames, height, width)
        self.out = Features(dim=dim, grid=grid, masked=spec.ragged)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, C, H, W) → (B, *grid, dim), and a mask (B, T) where the clips differ in length."""
        if x.shape[1] > self.frames and lengths is None:
            x = self._crop(x)
        if self.training and (self.flip or self.shift):
            frames = x.shape[1:3]
            x = augment(x.flatten(1, 2), self.flip, self.shift).unflatten(1, frames)
        mask = None if lengths is None else length_mask(lengths, x.shape[1])
        x = normalize_pixels(x, self.mean, self.std)
        if self.sees != "pixels":
            motion = (x - _mean_frame(x, mask)) * (self.std / self.motion_std)
            x = motion if self.sees == "motion" else torch.cat((x, motion), 2)
        x = mask_fill(x, mask)
        if len(self.out.grid) == 1:
            return x.flatten(2), mask
        return x.permute(0, 1, 3, 4, 2), mask

    def _crop(self, x: Tensor) -> Tensor:
        """(B, T, C, H, W) → (B, frames, C, H, W)."""
        surplus = x.shape[1] - self.frames
        if not self.training:
            return x[:, surplus // 2 :][:, : self.frames]
        start_B = torch.randint(surplus + 1, (len(x),), device=x.device)
        frame_BT = start_B[:, None] + torch.arange(self.frames, device=x.device)
        return x[torch.arange(len(x), device=x.device)[:, None], frame_BT]


def _find_problems(spec: DataSpec, sees: str, motion_std: float, crop: int | None) -> Iterator[str]:
    if not motion_std > 0:
        yield f"stem.motion_std must be above 0, got {motion_std}"
    if sees not in get_args(Sees):
        yield f"stem.sees must be one of {', '.join(get_args(Sees))}; got {sees!r}"
    if crop is not None and spec.ragged:
        yield f"stem.crop needs clips of equal length; those of {spec.name} differ"
    elif crop is not None and not 1 <= crop <= spec.shape[0]:
        yield f"stem.crop must be from 1 to {spec.shape[0]}, the clip's frames; got {crop}"


def _mean_frame(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, C, H, W), mask → mean over the valid frames (B, 1, C, H, W)."""
    frames = count_valid(x, mask).clamp(min=1).to(x.dtype)
    return mask_fill(x, mask).sum(1, keepdim=True) / frames[:, None, None, None, None]
