"""The stem of series: all channels of a step or patch together, or each target separately.

Legend: B batch, T steps, C channels, K targets (the first K channels), D = 1 + C - K, P steps of a
patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from quintain.contracts import DataSpec, Features, InputLayout
from quintain.nn.checks import check_modality, raise_problems
from quintain.nn.mask import last_valid, length_mask, mask_fill

Channels = Literal["together", "apart", "auto"]
_AUTO_PATCHES = (16, 8, 4, 2)  # steps
_AUTO_POSITIONS = 20  # that must remain


class Series(nn.Module):
    """Turns standardised series (B, T, C) into a sequence of patches (B, T / P, C · P).

    Args:
        input_layout: has no effect, because a series has one axis.
        channels: "together": each patch has all channels. "apart": the model reads each target
            separately with the same weights, like PatchTST (Nie et al. 2023) and DLinear (Zeng et
            al. 2023), beside the channels that are no targets; the features are (B · K, T / P,
            D · P), with the K targets of a sample in succession. The forecast head needs the same
            setting. "auto": apart to forecast, else together.
        patch: P; patches do not overlap (Nie et al. 2023), and P must divide T. "auto": to
            forecast, the largest of 16, 8, 4 and 2 that leaves 20 positions; else 1.
        relative: whether the last valid value of each target is subtracted from all its values, so
            that the model cannot see their level (NLinear, Zeng et al. 2023). "auto": to forecast.

    Raises:
        ValueError: the dataset has no series, or a setting does not suit it.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        input_layout: InputLayout,
        channels: Channels = "together",
        patch: int | Literal["auto"] = 1,
        relative: bool | Literal["auto"] = False,
    ) -> None:
        super().__init__()
        check_modality(spec, "series")
        steps, num_channels = spec.shape
        is_forecast = spec.task == "forecast"
        if patch == "auto":
            patch = _choose_patch(steps) if is_forecast and not spec.ragged else 1
        raise_problems(_find_problems(spec, channels, patch))
        relative = is_forecast if relative == "auto" else relative
        self.is_apart = channels == "apart" or (channels == "auto" and is_forecast)
        self.num_targets = len(spec.targets) or num_channels
        self.patch, self.relative = patch, relative
        self.num_others = num_channels - self.num_targets
        dim = patch * (1 + self.num_others if self.is_apart else num_channels)
        self.out = Features(dim=dim, grid=(steps // patch,), masked=spec.ragged)
        self.layout = "steps" if patch == 1 else f"patches of {patch} steps"
        self.layout += ", relative to the last" if relative else ""
        self.layout += ", channels apart" if self.is_apart else ""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) → (B or B · K, *grid, dim), and a mask where the series differ in length."""
        mask = None if lengths is None else length_mask(lengths, x.shape[1])
        x = mask_fill(x, mask)
        if self.relative:
            level = last_valid(x, mask)[:, None]
            level = functional.pad(level[..., : self.num_targets], (0, self.num_others))
            x = mask_fill(x - level, mask)
        if self.is_apart:
            targets = x[..., : self.num_targets].transpose(1, 2).flatten(0, 1)[..., None]
            others = x[..., self.num_targets :].repeat_interleave(self.num_targets, 0)
            x = torch.cat([targets, others], -1)
            mask = None if mask is None else mask.repeat_interleave(self.num_targets, 0)
        if self.patch > 1:
            x = x.unflatten(1, (-1, self.patch)).flatten(2)
        return x, mask


def _choose_patch(steps: int) -> int:
    divisors = (p for p in _AUTO_PATCHES if steps % p == 0 and steps // p >= _AUTO_POSITIONS)
    return next(divisors, 1)


def _find_problems(spec: DataSpec, channels: str, patch: int) -> Iterator[str]:
    steps = spec.shape[0]
    if channels not in get_args(Channels):
        yield f"channels must be together, apart or auto, got {channels!r}"
    if channels == "apart" and spec.task != "forecast":
        yield f"channels=apart needs task forecast; the task of {spec.name} is {spec.task}"
    if patch < 1 or steps % patch:
        divisors = ", ".join(str(k) for k in range(1, min(steps, 64) + 1) if steps % k == 0)
        yield f"patch must divide the {steps} steps of {spec.name}, got {patch}; try {divisors}"
    if patch > 1 and spec.ragged:
        yield f"patch={patch} needs samples of equal length; those of {spec.name} differ"
