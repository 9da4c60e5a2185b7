"""Series as they are, in patches, relative to where they end, or channel by channel.

Legend: B batch, T steps, C channels, K targets (the first K channels), P steps of a patch.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, Reads
from quintain.kit.mask import keep, last_valid, mask_of
from quintain.kit.stem import require

Channels = Literal["together", "apart"]


class Series(nn.Module):
    """x (B, T, C) → (B, T / P, C · P); the dataset has standardised it.

    Args:
        spec: of a series dataset.
        reads: "grid" or "sequence", which are the same here.
        channels: "together": a position has all channels. "apart": the model reads each target
            channel alone, with the same weights, as PatchTST and DLinear do (Nie et al. 2023; Zeng
            et al. 2023): x (B, T, C) → (B · K, T / P, P), sample by sample. The head has to know:
            give `forecast` the same setting.
        patch: steps side by side in one position, without overlap (Nie et al. 2023); T must be
            a multiple of it.
        relative: take the last real value of each channel from all its values, so that the level
            is not seen (NLinear, Zeng et al. 2023).

    Raises:
        ValueError: the data is no series, or cannot be patched or taken apart.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        reads: Reads,
        channels: Channels = "together",
        patch: int = 1,
        relative: bool = False,
    ) -> None:
        super().__init__()
        require(spec, "series")
        _check(spec, channels, patch)
        steps, wide = spec.shape
        self.targets = (len(spec.targets) or wide) if channels == "apart" else 0
        self.patch, self.relative = patch, relative
        self.out = Features(
            dim=(1 if self.targets else wide) * patch, grid=(steps // patch,), masked=spec.ragged
        )
        self.reading = _reading(channels, patch, relative)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) → features, mask (B, T) where the series differ in length."""
        mask = None if lengths is None else mask_of(lengths, x.shape[1])
        x = keep(x, mask)
        if self.relative:
            x = keep(x - last_valid(x, mask)[:, None], mask)
        if self.targets:
            x = x[..., : self.targets].transpose(1, 2).flatten(0, 1)[..., None]
            mask = None if mask is None else mask.repeat_interleave(self.targets, 0)
        if self.patch > 1:
            x = x.unflatten(1, (-1, self.patch)).flatten(2)
        return x, mask


def _check(spec: DataSpec, channels: str, patch: int) -> None:
    wrong, steps = [], spec.shape[0]
    if channels not in get_args(Channels):
        wrong.append(f"channels must be together or apart, came {channels!r}")
    if channels == "apart" and spec.task != "forecast":
        wrong.append(f"channels=apart needs a forecast; the task of {spec.name} is {spec.task}")
    if patch < 1 or steps % patch:
        fits = ", ".join(str(p) for p in range(1, min(steps, 64) + 1) if steps % p == 0)
        wrong.append(
            f"patch must divide the {steps} steps of {spec.name}, came {patch}; try {fits}"
        )
    if patch > 1 and spec.ragged:
        wrong.append(f"patch={patch} needs samples of equal length, and {spec.name} is ragged")
    if wrong:
        raise ValueError("; ".join(wrong))


def _reading(channels: str, patch: int, relative: bool) -> str:
    words = ["steps" if patch == 1 else f"patches of {patch} steps"]
    words += ["relative to the last"] if relative else []
    words += ["channels apart"] if channels == "apart" else []
    return ", ".join(words)
