"""Sound → log-mel frames, computed in every step from the waveform.

Legend: B batch, N samples, T steps, M mels, K stacked frames.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from quintain.contracts import DataSpec, Features, Reads
from quintain.kit.mask import counts, keep, mask_of
from quintain.kit.stem import require

Level = Literal["fixed", "own"]
QUIETEST = 0.1  # nepers; a band that moves less is silent and not blown up


class Speech(nn.Module):
    """x (B, N) samples → the grid (T, M) of K features, or T steps of K · M.

    Power spectrum of Hann windows → triangular filters on the HTK mel scale,
    m = 2595 log10(1 + f / 700) → natural logarithm. A frame counts as real where it lies wholly
    inside the sample, so neither padding nor what stands in it can reach a real frame; a sample
    shorter than one window has one frame. A step of K frames is real where its first frame is, so
    that the end of no sound is lost; what it lacks is zero.

    Args:
        spec: of a speech dataset; it gives the sample rate and the longest N.
        reads: "grid" or "sequence".
        mels: number of filters between `lowest` Hz and half the sample rate.
        window, hop: length of a frame and distance between frames, in ms.
        lowest: Hz; further down, filters would be narrower than the spectrum's bins and hear none.
        mean, std: the logarithm is centred as (log - mean) / std. Constants for speech in
            [-1, 1], so that no statistic can see the padding.
        stack: frames side by side in one step, of which there are then as many times fewer.
        mask_mels, mask_frames: in training, up to so many mels and so many frames in a row of each
            sample are hidden (SpecAugment, Park et al. 2019); drawn anew in every step.
        stretch: in training, each sound is slower or faster by a factor of its own, drawn anew in
            every step, up to so large a share off 1: other tempi of speech at the same pitch, by
            linear interpolation between frames. Sounds of one length keep it: what is too long is
            cut off, and zeros fill up.
        faster: whether `stretch` may make speech faster too. A sound then has fewer frames, of
            which a transcript can need more (see the head's too_long); so None: unless the task is
            transcribe.
        level: "fixed" centres by `mean` and `std`; "own" each band of each sound by its own mean
            and deviation over the real frames, so that neither loudness nor microphone is heard.

    Raises:
        ValueError: the data is no sound, or a setting is too small.
    """

    floor = 1e-5  # 28 dB above the rounding noise of 16 bits: silence is silence
    window: Tensor
    filters: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        reads: Reads,
        mels: int = 40,
        window: float = 32.0,
        hop: float = 10.0,
        lowest: float = 80.0,
        mean: float = -3.0,
        std: float = 3.0,
        stack: int = 1,
        mask_mels: int = 0,
        mask_frames: int = 0,
        stretch: float = 0.0,
        faster: bool | None = None,
        level: Level = "fixed",
    ) -> None:
        super().__init__()
        require(spec, "speech")
        _check(stack, mask_mels, mask_frames, stretch, level)
        rate = spec.sample_rate
        self.size, self.hop = round(rate * window / 1000), round(rate * hop / 1000)
        self.mean, self.std, self.stack, self.level = mean, std, stack, level
        self.mask_mels, self.mask_frames, self.stretch = mask_mels, mask_frames, stretch
        self.faster = spec.task != "transcribe" if faster is None else faster
        with torch.device("cpu"):  # the filters look at their values, which meta tensors lack
            filters = melscale_fbanks(self.size // 2 + 1, lowest, rate / 2, mels, rate)
            hann = torch.hann_window(self.size)
        home = torch.get_default_device()
        self.register_buffer("filters", filters.to(home), persistent=False)
        self.register_buffer("window", hann.to(home), persistent=False)
        self.longest = self._most_frames(spec)
        steps = -(-self.longest // stack)
        self.grid = reads == "grid"
        dim, grid = (stack, (steps, mels)) if self.grid else (stack * mels, (steps,))
        self.out = Features(dim=dim, grid=grid, masked=spec.ragged)
        several = f", {stack} a step" if stack > 1 else ""
        kind = "grid" if self.grid else "frames"
        self.reading = f"log-mel {kind}, {mels} mels, {hop:g} ms{several}"

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) → (B, T, M, K) or (B, T, K · M), mask (B, T) where the sounds are ragged."""
        frames = None
        if lengths is not None:
            x = keep(x, mask_of(lengths, x.shape[1]))
            frames = 1 + (lengths - self.size).clamp(min=0) // self.hop
        logs = self._log_mel(x)
        mask = None if frames is None else mask_of(frames, logs.shape[1])
        if self.level == "own":
            logs = keep(_levelled(logs, mask), mask)
        else:
            logs = keep((logs - self.mean) / self.std, mask)
        if self.training:
            logs, mask = self._varied(logs, mask)
        mask = mask if mask is None else mask[:, :: self.stack]
        steps = self._stacked(logs)
        return (steps.transpose(2, 3) if self.grid else steps.flatten(2)), mask

    def _most_frames(self, spec: DataSpec) -> int:
        frames = 1 + max(0, spec.shape[0] - self.size) // self.hop
        if spec.ragged:
            frames = 1 + math.floor((frames - 1) * (1 + self.stretch))
        return frames

    def _varied(self, logs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Stretched and partly hidden; (B, T, mels), of another T where the sounds are ragged."""
        if self.stretch:
            lowest = 1 - self.stretch if self.faster else 1.0
            factor_B = lowest + (1 + self.stretch - lowest) * torch.rand(
                len(logs), dtype=logs.dtype, device=logs.device
            )
            logs, mask = _stretched(logs, factor_B, mask, self.longest)
        return _hide(_hide(logs, 1, self.mask_frames, mask), 2, self.mask_mels), mask

    def _stacked(self, logs_BFM: Tensor) -> Tensor:
        """Frames (B, F, M) → steps (B, T, K, M), zeros where the last step lacks frames."""
        missing = -logs_BFM.shape[1] % self.stack
        return nn.functional.pad(logs_BFM, (0, 0, 0, missing)).unflatten(1, (-1, self.stack))

    def _log_mel(self, x: Tensor) -> Tensor:
        """(B, N) → (B, T, mels)."""
        x = nn.functional.pad(x, (0, max(0, self.size - x.shape[1])))
        spectrum = torch.fft.rfft(x.unfold(1, self.size, self.hop) * self.window)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.filters).clamp(min=self.floor).log()


def _check(stack: int, mask_mels: int, mask_frames: int, stretch: float, level: str) -> None:
    least = (("stack", stack, 1), ("mask_mels", mask_mels, 0), ("mask_frames", mask_frames, 0))
    wrong = [f"{name} must be at least {low}, came {n}" for name, n, low in least if n < low]
    if not 0 <= stretch < 1:
        wrong.append(f"stretch must be at least 0 and below 1, came {stretch}")
    if level not in get_args(Level):
        wrong.append(f"level must be fixed or own, came {level!r}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _levelled(logs_BTM: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Each band of each sound less its mean, over its deviation, both of the real frames."""
    kept, count_B = keep(logs_BTM, mask_BT), counts(logs_BTM, mask_BT).clamp(min=1)
    mean_B1M = kept.sum(1, keepdim=True) / count_B[:, None, None]
    away = keep(logs_BTM - mean_B1M, mask_BT)
    deviation_B1M = (away.square().sum(1, keepdim=True) / count_B[:, None, None]).sqrt()
    return away / deviation_B1M.clamp(min=QUIETEST)


def _stretched(
    logs_BTM: Tensor, factor_B: Tensor, mask_BT: Tensor | None, longest: int
) -> tuple[Tensor, Tensor | None]:
    """Each sound so many times as long, its frames interpolated; zeros behind its end.

    No sound gets more than `longest` frames, whatever rounding would make of the last one.
    """
    last_B = counts(logs_BTM, mask_BT).to(factor_B.device) - 1
    ends_B = (last_B * factor_B).long().clamp(max=longest - 1)  # of the new frames, the last
    size = logs_BTM.shape[1] if mask_BT is None else int(ends_B.max()) + 1
    place_T = torch.arange(size, device=factor_B.device)
    at_BT = torch.minimum(place_T / factor_B[:, None], last_B[:, None])
    before_BT = at_BT.long()
    after_BT = torch.minimum(before_BT + 1, last_B[:, None].long())
    share_BT1 = (at_BT - before_BT)[..., None]
    sound_B1 = torch.arange(len(logs_BTM), device=factor_B.device)[:, None]
    drawn = logs_BTM[sound_B1, before_BT].lerp(logs_BTM[sound_B1, after_BT], share_BT1)
    real = place_T <= ends_B[:, None]
    return keep(drawn, real), None if mask_BT is None else real


def _hide(x: Tensor, axis: int, most: int, mask: Tensor | None = None) -> Tensor:
    """Zero 0 … `most` neighbours along an axis of x (B, T, M), others in each sample.

    Where a mask (B, T) is given, they lie among the real steps, as far as those reach.
    """
    if most == 0:
        return x
    size = x.shape[axis] if mask is None else mask.sum(1)
    wide_B, start_B = torch.rand(2, len(x), device=x.device)
    wide_B = (wide_B * (most + 1)).floor()
    start_B = (start_B * (size - wide_B + 1).clamp(min=1)).floor()
    place = torch.arange(x.shape[axis], device=x.device)
    hidden = (place >= start_B[:, None]) & (place < (start_B + wide_B)[:, None])
    return x.masked_fill(hidden[:, :, None] if axis == 1 else hidden[:, None], 0.0)
