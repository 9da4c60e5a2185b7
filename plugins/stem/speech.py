"""The stem of speech: log-mel spectrograms, computed anew for each batch.

Legend: B batch, N audio samples, F frames, M mel bands, K frames of a step, T steps of K frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from quintain.contracts import DataSpec, Features, InputLayout
from quintain.nn.checks import check_modality, raise_problems
from quintain.nn.mask import count_valid, length_mask, mask_fill

Level = Literal["fixed", "own"]
MIN_POWER = 1e-5  # 28 dB above the rounding noise of 16 bits, so that noise has no effect
MIN_DEVIATION = 0.1  # nepers, so that the noise of a silent band is not amplified


class Speech(nn.Module):
    """Turns waveforms (B, N) into a grid (B, T, M, K), or into a sequence (B, T, K · M).

    The features are the natural logarithm of a mel spectrogram: power spectra of Hann windows, and
    triangular filters on the HTK mel scale, m = 2595 log10(1 + f / 700). A frame is valid if its
    window lies inside the recording, so padding cannot influence it; a recording shorter than one
    window has one frame. A step of K frames is valid if its first frame is, so that the end of a
    recording is not lost; its invalid frames are zero.

    Args:
        mels: number of filters between `lowest` and half the sample rate.
        window: length of a frame in ms.
        hop: distance between the starts of two frames in ms.
        lowest: lowest frequency in Hz. Filters below 80 Hz can be narrower than the bins of the
            spectrum, and thus empty.
        mean, std: constants that normalise the logarithm as (log - mean) / std.
        stack: K; the number of steps is divided by it.
        mask_mels, mask_frames: largest number of neighbouring mels and frames of a recording that
            are set to zero in training (SpecAugment, Park et al. 2019).
        stretch: in training, the duration of each recording is multiplied by a random factor from
            1 - stretch to 1 + stretch, at the same pitch, by linear interpolation of frames. If all
            recordings have the same length, the result is cut or padded with zeros to this length.
        faster: whether the factor may be below 1. The transcript may then need more frames than
            there are (see `too_long` of the head). None: true, unless the task is transcribe.
        level: "fixed" normalises by `mean` and `std`. "own" normalises each band of each recording
            by its mean and deviation over valid frames, which removes the effects of loudness and
            microphone.

    Raises:
        ValueError: the dataset has no speech, or a setting is invalid.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        input_layout: InputLayout,
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
        check_modality(spec, "speech")
        raise_problems(_find_problems(stack, mask_mels, mask_frames, stretch, level))
        rate = spec.sample_rate
        self.size, self.hop = round(rate * window / 1000), round(rate * hop / 1000)
        self.mean, self.std, self.stack, self.level = mean, std, stack, level
        self.mask_mels, self.mask_frames, self.stretch = mask_mels, mask_frames, stretch
        self.faster = spec.task != "transcribe" if faster is None else faster
        self.mel_spectrogram = _make_mel_spectrogram(rate, self.size, self.hop, lowest, mels)
        self.max_frames = 1 + max(0, spec.shape[0] - self.size) // self.hop
        if spec.ragged:
            self.max_frames = 1 + math.floor((self.max_frames - 1) * (1 + stretch))
        steps = math.ceil(self.max_frames / stack)
        self.is_grid = input_layout == "grid"
        dim, grid = (stack, (steps, mels)) if self.is_grid else (stack * mels, (steps,))
        self.out = Features(dim=dim, grid=grid, masked=spec.ragged)
        self.layout = f"log-mel {'grid' if self.is_grid else 'frames'}, {mels} mels, {hop:g} ms"
        self.layout += f", {stack} a step" if stack > 1 else ""

    def count_steps(self, lengths: Tensor) -> Tensor:
        """Return the number of steps, long (B,), of recordings of these lengths, long (B,).

        A recording that `stretch` makes faster has the smallest possible number.
        """
        frames_B = self._count_frames(lengths)
        if self.stretch and self.faster:
            frames_B = 1 + ((frames_B - 1) * (1 - self.stretch)).long()
        return -(-frames_B // self.stack)

    def _count_frames(self, lengths: Tensor) -> Tensor:
        return 1 + (lengths - self.size).clamp(min=0) // self.hop

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) → (B, *grid, dim), and a mask (B, T) where the recordings differ in length."""
        mask = frames_B = None
        if lengths is not None:
            x = mask_fill(x, length_mask(lengths, x.shape[1]))
            frames_B = self._count_frames(lengths)
        x = nn.functional.pad(x, (0, max(0, self.size - x.shape[1])))
        logs_BFM = self.mel_spectrogram(x).clamp(min=MIN_POWER).log().transpose(1, 2)
        if frames_B is not None:
            mask = length_mask(frames_B, logs_BFM.shape[1])
        if self.level == "own":
            logs_BFM = mask_fill(_normalize_bands(logs_BFM, mask), mask)
        else:
            logs_BFM = mask_fill((logs_BFM - self.mean) / self.std, mask)
        if self.training:
            logs_BFM, mask = self._augment(logs_BFM, mask)
        mask = mask if mask is None else mask[:, :: self.stack]
        missing = -logs_BFM.shape[1] % self.stack
        steps_BTKM = nn.functional.pad(logs_BFM, (0, 0, 0, missing)).unflatten(1, (-1, self.stack))
        return (steps_BTKM.transpose(2, 3) if self.is_grid else steps_BTKM.flatten(2)), mask

    def _augment(self, logs_BFM: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Stretch and mask at random; F changes where the recordings differ in length."""
        if self.stretch:
            low, high = 1 - self.stretch if self.faster else 1.0, 1 + self.stretch
            draw_B = torch.rand(len(logs_BFM), dtype=logs_BFM.dtype, device=logs_BFM.device)
            factor_B = low + (high - low) * draw_B
            logs_BFM, mask = _stretch(logs_BFM, factor_B, mask, self.max_frames)
        logs_BFM = _mask_random_span(logs_BFM, 1, self.mask_frames, mask)
        return _mask_random_span(logs_BFM, 2, self.mask_mels), mask


def _make_mel_spectrogram(
    rate: int, size: int, hop: int, lowest: float, mels: int
) -> MelSpectrogram:
    """Build the module on the default device, without entries in the state dict."""
    with torch.device("cpu"):  # torchaudio checks values, which tensors on meta do not have
        mel_spectrogram = MelSpectrogram(
            rate, size, hop_length=hop, f_min=lowest, f_max=rate / 2, n_mels=mels, center=False
        )
    for module in mel_spectrogram.modules():
        for name, constant in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, constant, persistent=False)
    return mel_spectrogram.to(torch.get_default_device())


def _find_problems(
    stack: int, mask_mels: int, mask_frames: int, stretch: float, level: str
) -> Iterator[str]:
    if stack < 1:
        yield f"stack must be at least 1, got {stack}"
    for name, number in (("mask_mels", mask_mels), ("mask_frames", mask_frames)):
        if number < 0:
            yield f"{name} must be at least 0, got {number}"
    if not 0 <= stretch < 1:
        yield f"stretch must be at least 0 and below 1, got {stretch}"
    if level not in get_args(Level):
        yield f"level must be fixed or own, got {level!r}"


def _normalize_bands(logs_BFM: Tensor, mask_BF: Tensor | None) -> Tensor:
    count_B11 = count_valid(logs_BFM, mask_BF).clamp(min=1)[:, None, None]
    mean_B1M = mask_fill(logs_BFM, mask_BF).sum(1, keepdim=True) / count_B11
    centred = mask_fill(logs_BFM - mean_B1M, mask_BF)
    deviation_B1M = (centred.square().sum(1, keepdim=True) / count_B11).sqrt()
    return centred / deviation_B1M.clamp(min=MIN_DEVIATION)


def _stretch(
    logs_BFM: Tensor, factor_B: Tensor, mask_BF: Tensor | None, max_frames: int
) -> tuple[Tensor, Tensor | None]:
    """Multiply the length of each recording by a factor (B,), by linear interpolation of frames.

    No recording gets more than `max_frames` frames; the frames after its end are zero.
    """
    device = factor_B.device
    last_B = count_valid(logs_BFM, mask_BF).to(device) - 1
    new_last_B = (last_B * factor_B).long().clamp(max=max_frames - 1)
    size = logs_BFM.shape[1] if mask_BF is None else int(new_last_B.max()) + 1
    frame_F = torch.arange(size, device=device)
    source_BF = torch.minimum(frame_F / factor_B[:, None], last_B[:, None])
    before_BF = source_BF.long()
    after_BF = torch.minimum(before_BF + 1, last_B[:, None].long())
    weight_BF1 = (source_BF - before_BF)[..., None]
    row_B1 = torch.arange(len(logs_BFM), device=device)[:, None]
    stretched = logs_BFM[row_B1, before_BF].lerp(logs_BFM[row_B1, after_BF], weight_BF1)
    valid_BF = frame_F <= new_last_B[:, None]
    return mask_fill(stretched, valid_BF), None if mask_BF is None else valid_BF


def _mask_random_span(x: Tensor, axis: int, limit: int, mask: Tensor | None = None) -> Tensor:
    """Set a random span along one axis of each sample of x (B, F, M) to zero.

    The span has 0 to `limit` entries. With a mask (B, F), it lies inside the valid frames unless it
    is longer than these.
    """
    if limit == 0:
        return x
    size = x.shape[axis] if mask is None else mask.sum(1)
    width_B, start_B = torch.rand(2, len(x), device=x.device)
    width_B = (width_B * (limit + 1)).floor()
    start_B = (start_B * (size - width_B + 1).clamp(min=1)).floor()
    index = torch.arange(x.shape[axis], device=x.device)
    is_masked = (index >= start_B[:, None]) & (index < (start_B + width_B)[:, None])
    return x.masked_fill(is_masked[:, :, None] if axis == 1 else is_masked[:, None], 0.0)
