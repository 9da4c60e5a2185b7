"""The stem of series: all channels of a step or patch together, or each channel separately.

Legend: B batch, T steps, C channels, K targets (the first K channels), P steps of a patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, InputLayout
from quintain.nn.checks import check_modality, raise_problems
from quintain.nn.mask import last_valid, length_mask, mask_fill

Channels = Literal["together", "apart"]


class Series(nn.Module):
    """Turns standardised series (B, T, C) into a sequence of patches (B, T / P, C · P).

    Args:
        input_layout: has no effect, because a series has one axis.
        channels: "together": each patch has all channels. "apart": the model reads each target
            channel separately with the same weights, like PatchTST (Nie et al. 2023) and DLinear
            (Zeng et al. 2023); the features are (B · K, T / P, P), with the K channels of a sample
            in succession. The forecast head needs the same setting.
        patch: P; patches do not overlap (Nie et al. 2023), and P must divide T.
        relative: whether the last valid value of each channel is subtracted from all its values, so
            that the model cannot see their level (NLinear, Zeng et al. 2023).

    Raises:
        ValueError: the dataset has no series, or a setting does not suit it.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        input_layout: InputLayout,
        channels: Channels = "together",
        patch: int = 1,
        relative: bool = False,
    ) -> None:
        super().__init__()
        check_modality(spec, "series")
        steps, num_channels = spec.shape
        raise_problems(_find_problems(spec, channels, patch))
        self.is_apart = channels == "apart"
        self.num_targets = len(spec.targets) or num_channels
        self.patch, self.relative = patch, relative
        dim = patch if self.is_apart else num_channels * patch
        self.out = Features(dim=dim, grid=(steps // patch,), masked=spec.ragged)
        self.layout = "steps" if patch == 1 else f"patches of {patch} steps"
        self.layout += ", relative to the last" if relative else ""
        self.layout += ", channels apart" if self.is_apart else ""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) → (B or B · K, *grid, dim), and a mask where the series differ in length."""
        mask = None if lengths is None else length_mask(lengths, x.shape[1])
        x = mask_fill(x, mask)
        if self.relative:
            x = mask_fill(x - last_valid(x, mask)[:, None], mask)
        if self.is_apart:
            x = x[..., : self.num_targets].transpose(1, 2).flatten(0, 1)[..., None]
            mask = None if mask is None else mask.repeat_interleave(self.num_targets, 0)
        if self.patch > 1:
            x = x.unflatten(1, (-1, self.patch)).flatten(2)
        return x, mask


def _find_problems(spec: DataSpec, channels: str, patch: int) -> Iterator[str]:
    steps = spec.shape[0]
    if channels not in get_args(Channels):
        yield f"channels must be together or apart, got {channels!r}"
    if channels == "apart" and spec.task != "forecast":
        yield f"channels=apart needs task forecast; the task of {spec.name} is {spec.task}"
    if patch < 1 or steps % patch:
        divisors = ", ".join(str(k) for k in range(1, min(steps, 64) + 1) if steps % k == 0)
        yield f"patch must divide the {steps} steps of {spec.name}, got {patch}; try {divisors}"
    if patch > 1 and spec.ragged:
        yield f"patch={patch} needs samples of equal length; those of {spec.name} differ"
