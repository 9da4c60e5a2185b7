"""Frames of speech: stacked, hidden and stretched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from quintain.contracts import DataSpec
from quintain.plugins.stem.speech import Speech

SPOKEN = DataSpec(
    name="made_up",
    modality="speech",
    task="classify",
    shape=(2000,),
    sample_rate=8000,
    ragged=True,
)


def test_stacked_frames_are_frames_side_by_side() -> None:
    draw = torch.Generator().manual_seed(0)
    x, lengths = torch.rand(2, 2000, generator=draw) - 0.5, torch.tensor([2000, 900])
    frames, real = Speech(SPOKEN, reads="sequence", mels=5)(x, lengths)  # 22 and 9 of them
    stem = Speech(SPOKEN, reads="sequence", mels=5, stack=4)
    steps, mask = stem(x, lengths)
    assert steps.shape == (2, *stem.out.grid, stem.out.dim) == (2, 6, 20)
    assert real is not None and mask is not None
    assert mask.sum(1).tolist() == [6, 3]  # 22 / 4 and 9 / 4, what is left over counts
    assert torch.equal(steps[:, :5].unflatten(2, (4, 5)).flatten(1, 2), frames[:, :20])
    assert torch.equal(steps[0, 5], torch.cat([frames[0, 20:].flatten(), torch.zeros(10)]))
    grid, same = Speech(SPOKEN, reads="grid", mels=5, stack=4)(x, lengths)
    assert grid.shape == (2, 6, 5, 4) and torch.equal(same, mask)
    assert torch.equal(grid[0, 2, 3], frames[0, 8:12, 3])


@pytest.mark.parametrize("reads", ["grid", "sequence"])
@pytest.mark.parametrize("length", [1, 300, 1000, 1999])
def test_stacked_frames_do_not_see_padding(reads: Any, length: int) -> None:
    stem = Speech(SPOKEN, reads=reads, stack=3)
    x, n = torch.rand(1, 2000) - 0.5, torch.tensor([length])
    alone, mask = stem(x[:, :length], n)
    soiled = x.clone()
    soiled[:, length:] = torch.nan
    padded, wide = stem(soiled, n)
    assert int(mask.sum()) == mask.shape[1] == int(wide.sum())
    torch.testing.assert_close(padded[:, : mask.shape[1]], alone, rtol=0, atol=1e-6)
    assert not padded[:, mask.shape[1] :].any()


def test_hidden_mels_and_frames() -> None:
    """Only in training, drawn by torch's generator, up to so many, all of them real ones."""
    settings: dict[str, Any] = {"mask_mels": 6, "mask_frames": 4}
    stem = Speech(SPOKEN, reads="sequence", **settings)
    x, lengths = torch.rand(400, 2000) - 0.5, torch.full((400,), 1000)  # 10 frames
    plain, mask = Speech(SPOKEN, reads="sequence")(x, lengths)
    assert torch.equal(stem.eval()(x, lengths)[0], plain)
    stem.train()
    torch.manual_seed(1)
    first = stem(x, lengths)[0]
    torch.manual_seed(1)
    assert torch.equal(stem(x, lengths)[0], first) and not torch.equal(stem(x, lengths)[0], first)
    gone = (first == 0) & (plain != 0)
    frames, mels = gone.all(2).sum(1), (gone | ~mask[..., None]).all(1).sum(1)
    assert set(frames.tolist()) == set(range(5)) and set(mels.tolist()) == set(range(7))
    assert torch.equal(first[~gone], plain[~gone])
    with pytest.raises(ValueError, match=r"stack must .* 0; mask_mels must .* -1; mask_frames"):
        Speech(SPOKEN, reads="grid", stack=0, mask_mels=-1, mask_frames=-2)


def test_stretched_time() -> None:
    """Each sound has a tempo of its own, between frames as NumPy interpolates."""
    stem = Speech(SPOKEN, reads="sequence", stretch=0.2)
    plain = Speech(SPOKEN, reads="sequence")
    x, lengths = torch.rand(300, 2000) - 0.5, torch.tensor([2000, 900, 200]).repeat(100)
    logs, _ = plain(x, lengths)
    assert torch.equal(stem.eval()(x, lengths)[0], logs)
    assert stem.out.grid == (26,) and plain.out.grid == (22,)  # 1 + 21 · 1.2 frames
    drawn, real = stem.train()(x, lengths)
    for length, frames, least, most in ((2000, 22, 17, 26), (900, 9, 7, 10), (200, 1, 1, 1)):
        rows = torch.nonzero(lengths == length).flatten().tolist()
        sizes = [int(real[row].sum()) for row in rows]
        assert (min(sizes), max(sizes)) == (least, most)
        for row, size in zip(rows, sizes, strict=True):
            assert not drawn[row, size:].any()
            old = logs[row, :frames].numpy()
            tempo = _tempo(old, drawn[row, :size].numpy()) if frames > 1 else 1.0
            places = np.minimum(np.arange(size) / tempo, frames - 1)
            for mel in range(0, 40, 13):
                expected = np.interp(places, np.arange(frames), old[:, mel])
                np.testing.assert_allclose(drawn[row, :size, mel], expected, atol=2e-4)
    with pytest.raises(ValueError, match="stretch must"):
        Speech(SPOKEN, reads="grid", stretch=1.0)


def _tempo(old: Any, new: Any) -> float:
    """The factor by which time was stretched, from the place of the second frame."""
    change = old[1:3] - old[0:2]
    share = float((new[1] - old[0]) @ change[0] / (change[0] @ change[0]))
    if not np.allclose(old[0] + share * change[0], new[1], atol=1e-4):  # beyond the next frame
        share = 1 + float((new[1] - old[1]) @ change[1] / (change[1] @ change[1]))
    return 1 / share


def test_stretched_sounds_of_one_length_keep_it() -> None:
    stem = Speech(replace(SPOKEN, ragged=False), reads="sequence", stretch=0.2)
    logs, mask = stem.train()(torch.rand(50, 2000) - 0.5, None)
    assert logs.shape == (50, 22, 40) == (50, *stem.out.grid, stem.out.dim) and mask is None
    ends = (logs != 0).any(2).sum(1)
    assert int(ends.min()) < 20 and int(ends.max()) == 22
