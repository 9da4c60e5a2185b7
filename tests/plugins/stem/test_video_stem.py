"""The video stem with motion: pixels minus their mean over the clip."""

import pytest
import torch

from quintain.contracts import DataSpec
from quintain.plugins.stem.video import Video


@pytest.mark.parametrize("input_layout", ["grid", "sequence"])
def test_motion_subtracts_the_mean_of_the_valid_frames(input_layout):
    spec = DataSpec(
        name="example", modality="video", task="classify", shape=(5, 1, 4, 6), ragged=True
    )
    stem = Video(spec, input_layout=input_layout, mean=0.25, sees="motion", motion_std=0.5)
    x = torch.randint(0, 256, (2, 5, 1, 4, 6), dtype=torch.uint8)
    x[1, 3:] = 0
    features, mask = stem(x, torch.tensor([5, 3]))
    assert mask.sum(1).tolist() == [5, 3]
    for k, frames in enumerate((5, 3)):
        clip = x[k, :frames].double().numpy() / 255
        expected = (clip - clip.mean(0)) / 0.5
        motion = features[k, :frames].reshape(frames, 1, 4, 6).numpy()
        assert motion == pytest.approx(expected, abs=1e-5)
    assert not features[1, 3:].any()


@pytest.mark.parametrize("input_layout", ["grid", "sequence"])
def test_sees_both_gives_pixels_and_motion_as_channels(input_layout):
    spec = DataSpec(name="example", modality="video", task="classify", shape=(5, 3, 4, 6))
    x = torch.randint(0, 256, (2, 5, 3, 4, 6), dtype=torch.uint8)
    stems = {
        sees: Video(spec, input_layout=input_layout, sees=sees)
        for sees in ("pixels", "motion", "both")
    }
    features = {sees: stem(x, None)[0] for sees, stem in stems.items()}
    assert features["both"].shape[1:] == (*stems["both"].out.grid, stems["both"].out.dim)
    assert torch.equal(features["both"], torch.cat((features["pixels"], features["motion"]), -1))
    with pytest.raises(
        ValueError, match=r"stem\.sees must be one of pixels, motion, both; got 'all'"
    ):
        Video(spec, input_layout=input_layout, sees="all")
