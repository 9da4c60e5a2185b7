"""What the stem of videos makes of pixels that move, and of those that do not."""

import pytest
import torch

from quintain.contracts import DataSpec
from quintain.plugins.stem.video import Video


@pytest.mark.parametrize("reads", ["grid", "sequence"])
def test_what_stands_still_can_be_taken_away(reads):
    """Each clip less the mean over its real frames, by hand; the padding stays zero."""
    spec = DataSpec(name="film", modality="video", task="classify", shape=(5, 1, 4, 6), ragged=True)
    stem = Video(spec, reads=reads, mean=0.25, sees="motion", motion_std=0.5)
    x = torch.randint(0, 256, (2, 5, 1, 4, 6), dtype=torch.uint8)
    x[1, 3:] = 0
    seen, mask = stem(x, torch.tensor([5, 3]))
    assert mask.sum(1).tolist() == [5, 3]
    for k, frames in enumerate((5, 3)):
        film = x[k, :frames].double().numpy() / 255
        expected = (film - film.mean(0)) / 0.5
        found = seen[k, :frames].reshape(frames, 1, 4, 6).numpy()
        assert found == pytest.approx(expected, abs=1e-5)
    assert not seen[1, 3:].any()


@pytest.mark.parametrize("reads", ["grid", "sequence"])
def test_pixels_and_motion_can_be_seen_side_by_side(reads):
    spec = DataSpec(name="film", modality="video", task="classify", shape=(5, 3, 4, 6))
    x = torch.randint(0, 256, (2, 5, 3, 4, 6), dtype=torch.uint8)
    stems = {sees: Video(spec, reads=reads, sees=sees) for sees in ("pixels", "motion", "both")}
    found = {sees: stem(x, None)[0] for sees, stem in stems.items()}
    assert found["both"].shape[1:] == (*stems["both"].out.grid, stems["both"].out.dim)
    assert torch.equal(found["both"], torch.cat((found["pixels"], found["motion"]), -1))
    with pytest.raises(ValueError, match=r"stem\.sees is one of pixels, motion, both; came 'all'"):
        Video(spec, reads=reads, sees="all")
