"""Frames of speech: stacked, masked and stretched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from quintain.contracts import DataSpec
from quintain.plugins.stem.speech import Speech

SPEECH = DataSpec(
    name="example",
    modality="speech",
    task="classify",
    shape=(2000,),
    sample_rate=8000,
    ragged=True,
)


def test_stack_puts_frames_side_by_side() -> None:
    generator = torch.Generator().manual_seed(0)
    x, lengths = torch.rand(2, 2000, generator=generator) - 0.5, torch.tensor([2000, 900])
    frames, frame_mask = Speech(SPEECH, input_layout="sequence", mels=5)(
        x, lengths
    )  # 22 and 9 of them
    stem = Speech(SPEECH, input_layout="sequence", mels=5, stack=4)
    steps, mask = stem(x, lengths)
    assert steps.shape == (2, *stem.out.grid, stem.out.dim) == (2, 6, 20)
    assert frame_mask is not None and mask is not None
    assert mask.sum(1).tolist() == [6, 3]  # 22 / 4 and 9 / 4, rounded up
    assert torch.equal(steps[:, :5].unflatten(2, (4, 5)).flatten(1, 2), frames[:, :20])
    assert torch.equal(steps[0, 5], torch.cat([frames[0, 20:].flatten(), torch.zeros(10)]))
    grid, grid_mask = Speech(SPEECH, input_layout="grid", mels=5, stack=4)(x, lengths)
    assert grid.shape == (2, 6, 5, 4) and torch.equal(grid_mask, mask)
    assert torch.equal(grid[0, 2, 3], frames[0, 8:12, 3])


@pytest.mark.parametrize("input_layout", ["grid", "sequence"])
@pytest.mark.parametrize("length", [1, 300, 1000, 1999])
def test_stacked_frames_ignore_padding(input_layout: Any, length: int) -> None:
    stem = Speech(SPEECH, input_layout=input_layout, stack=3)
    x, n = torch.rand(1, 2000) - 0.5, torch.tensor([length])
    alone, mask = stem(x[:, :length], n)
    padded_x = x.clone()
    padded_x[:, length:] = torch.nan
    padded, padded_mask = stem(padded_x, n)
    assert int(mask.sum()) == mask.shape[1] == int(padded_mask.sum())
    torch.testing.assert_close(padded[:, : mask.shape[1]], alone, rtol=0, atol=1e-6)
    assert not padded[:, mask.shape[1] :].any()


def test_masking_hides_random_mels_and_valid_frames_in_training() -> None:
    settings: dict[str, Any] = {"mask_mels": 6, "mask_frames": 4}
    stem = Speech(SPEECH, input_layout="sequence", **settings)
    x, lengths = torch.rand(400, 2000) - 0.5, torch.full((400,), 1000)  # 10 frames
    plain, mask = Speech(SPEECH, input_layout="sequence")(x, lengths)
    assert torch.equal(stem.eval()(x, lengths)[0], plain)
    stem.train()
    torch.manual_seed(1)
    first = stem(x, lengths)[0]
    torch.manual_seed(1)
    assert torch.equal(stem(x, lengths)[0], first) and not torch.equal(stem(x, lengths)[0], first)
    masked = (first == 0) & (plain != 0)
    frames, mels = masked.all(2).sum(1), (masked | ~mask[..., None]).all(1).sum(1)
    assert set(frames.tolist()) == set(range(5)) and set(mels.tolist()) == set(range(7))
    assert torch.equal(first[~masked], plain[~masked])
    with pytest.raises(ValueError, match=r"stack must .* 0; mask_mels must .* -1; mask_frames"):
        Speech(SPEECH, input_layout="grid", stack=0, mask_mels=-1, mask_frames=-2)


def test_stretch_interpolates_frames_by_a_random_factor() -> None:
    """Each recording has its own factor; the frames equal those of numpy.interp."""
    stem = Speech(SPEECH, input_layout="sequence", stretch=0.2)
    plain = Speech(SPEECH, input_layout="sequence")
    x, lengths = torch.rand(300, 2000) - 0.5, torch.tensor([2000, 900, 200]).repeat(100)
    logs, _ = plain(x, lengths)
    assert torch.equal(stem.eval()(x, lengths)[0], logs)
    assert stem.out.grid == (26,) and plain.out.grid == (22,)  # 1 + 21 · 1.2 frames
    stretched, stretched_mask = stem.train()(x, lengths)
    for length, frames, least, most in ((2000, 22, 17, 26), (900, 9, 7, 10), (200, 1, 1, 1)):
        rows = torch.nonzero(lengths == length).flatten().tolist()
        sizes = [int(stretched_mask[row].sum()) for row in rows]
        assert (min(sizes), max(sizes)) == (least, most)
        for row, size in zip(rows, sizes, strict=True):
            assert not stretched[row, size:].any()
            old = logs[row, :frames].numpy()
            factor = _estimate_factor(old, stretched[row, :size].numpy()) if frames > 1 else 1.0
            positions = np.minimum(np.arange(size) / factor, frames - 1)
            for mel in range(0, 40, 13):
                expected = np.interp(positions, np.arange(frames), old[:, mel])
                np.testing.assert_allclose(stretched[row, :size, mel], expected, atol=2e-4)
    with pytest.raises(ValueError, match="stretch must"):
        Speech(SPEECH, input_layout="grid", stretch=1.0)


def _estimate_factor(old: Any, new: Any) -> float:
    """Return the factor by which time was stretched, from the position of the second frame."""
    change = old[1:3] - old[0:2]
    share = float((new[1] - old[0]) @ change[0] / (change[0] @ change[0]))
    if not np.allclose(old[0] + share * change[0], new[1], atol=1e-4):  # beyond the next frame
        share = 1 + float((new[1] - old[1]) @ change[1] / (change[1] @ change[1]))
    return 1 / share


def test_stretch_keeps_the_length_of_recordings_of_one_length() -> None:
    stem = Speech(replace(SPEECH, ragged=False), input_layout="sequence", stretch=0.2)
    logs, mask = stem.train()(torch.rand(50, 2000) - 0.5, None)
    assert logs.shape == (50, 22, 40) == (50, *stem.out.grid, stem.out.dim) and mask is None
    ends = (logs != 0).any(2).sum(1)
    assert int(ends.min()) < 20 and int(ends.max()) == 22
