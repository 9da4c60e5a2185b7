"""Stems: their shapes, padding without effect, and log-mel frames computed independently."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.paths import ROOT

from quintain.contracts import DataSpec, InputLayout, Modality, Unsupported
from quintain.data.image.pixels import augment
from quintain.plugins.stem.image import Image
from quintain.plugins.stem.series import Series
from quintain.plugins.stem.speech import MIN_POWER, Speech
from quintain.plugins.stem.text import Text
from quintain.plugins.stem.video import Video

CONF = ROOT / "conf" / "stem"


def spec(modality: Modality, shape: tuple[int, ...], **more: Any) -> DataSpec:
    return DataSpec(name="example", modality=modality, task="classify", shape=shape, **more)


SPECS = {
    "image": spec("image", (3, 8, 12)),
    "video": spec("video", (5, 2, 4, 6), ragged=True),
    "speech": spec("speech", (2000,), sample_rate=8000, ragged=True),
    "text": spec("text", (9,), vocabulary=11, ragged=True),
    "series": spec("series", (7, 3), ragged=True),
}


def build(name: str, input_layout: InputLayout, **settings: Any) -> Any:
    """Build the stem of conf/stem."""
    yaml_settings = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    del yaml_settings["card"]
    module, _, target = yaml_settings.pop("_target_").rpartition(".")
    stem = getattr(importlib.import_module(module), target)
    torch.manual_seed(0)
    return stem(SPECS[name], input_layout=input_layout, **{**yaml_settings, **settings})


def random_samples(name: str, count: int) -> torch.Tensor:
    if name == "text":
        return torch.randint(0, 11, (count, *SPECS[name].shape))
    return torch.rand(count, *SPECS[name].shape)


@pytest.mark.parametrize("input_layout", ["grid", "sequence"])
@pytest.mark.parametrize("name", SPECS)
def test_features_have_the_announced_shape(name: str, input_layout: InputLayout) -> None:
    stem, longest = build(name, input_layout), SPECS[name].shape[0]
    lengths = torch.tensor([longest, longest // 2]) if SPECS[name].ragged else None
    features, mask = stem(random_samples(name, 2), lengths)
    assert features.shape == (2, *stem.out.grid, stem.out.dim)
    assert features.dtype == torch.float32 and stem.layout
    assert stem.out.masked == (mask is not None) == SPECS[name].ragged
    if mask is not None:
        assert mask.shape == (2, stem.out.grid[0]) and mask.dtype == torch.bool
        assert mask[0].all() and not mask[1].all()


@pytest.mark.parametrize("name", SPECS)
def test_stems_build_and_run_on_the_meta_device(name: str) -> None:
    with torch.device("meta"):
        stem = build(name, "grid")
        x, n = (
            random_samples(name, 2),
            torch.ones(2, dtype=torch.long) if SPECS[name].ragged else None,
        )
        assert stem(x, n)[0].shape == (2, *stem.out.grid, stem.out.dim)


@pytest.mark.parametrize("input_layout", ["grid", "sequence"])
@pytest.mark.parametrize("name", [name for name in SPECS if SPECS[name].ragged])
def test_features_ignore_padding(name: str, input_layout: InputLayout) -> None:
    """A sample has the same features alone and with zeros, other values or NaN as padding."""
    stem, longest = build(name, input_layout), SPECS[name].shape[0]
    for length in {1, longest // 2, longest - 1}:
        x, n = random_samples(name, 1), torch.tensor([length])
        alone, mask = stem(x[:, :length], n)
        for padding in (0, 1) if name == "text" else (0.0, 7.0, float("nan")):
            padded_x = x.clone()
            padded_x[:, length:] = padding
            features, padded_mask = stem(padded_x, n)
            steps = mask.sum()
            assert steps >= 1 and padded_mask.sum() == steps == mask.shape[1]
            torch.testing.assert_close(features[:, :steps], alone, rtol=0, atol=1e-6)
            assert (features[:, steps:] == 0).all()


@pytest.mark.parametrize("stem", [Image, Video, Speech, Text, Series])
def test_wrong_modality_raises_with_the_right_stem(stem: Any) -> None:
    for name, wrong_spec in SPECS.items():
        if name != stem.__name__.lower():
            with pytest.raises(ValueError, match=rf"'example' is {name}: use stem={name}"):
                stem(wrong_spec, input_layout="grid")


def test_image_as_rows_patches_and_pixels() -> None:
    x = torch.arange(3 * 8 * 12).reshape(1, 3, 8, 12).float()
    plain = {"mean": 0.0, "std": 1.0}

    def features_of(input_layout: InputLayout, **settings: Any) -> torch.Tensor:
        features: torch.Tensor = build("image", input_layout, **plain, **settings)(x, None)[0]
        return features

    grid = features_of("grid")
    assert grid[0, 5, 7].tolist() == x[0, :, 5, 7].tolist()
    assert torch.equal(features_of("sequence", sequence="pixels")[0, 5 * 12 + 7], grid[0, 5, 7])
    assert torch.equal(features_of("sequence")[0, 5], grid[0, 5].flatten())
    patches = features_of("sequence", sequence="patches", patch=4)  # 2 rows of 3 patches
    assert patches.shape == (1, 6, 48)
    assert torch.equal(patches[0, 5], grid[0, 4:8, 8:12].flatten())
    assert torch.equal(patches[0, 3], grid[0, 4:8, 0:4].flatten())
    assert torch.equal(features_of("sequence", sequence="patches", patch=1), grid.flatten(1, 2))


def test_invalid_sequence_settings_raise() -> None:
    with pytest.raises(
        Unsupported, match=r"patches of 5×5 do not divide the images of example \(8×12\)"
    ):
        build("image", "sequence", sequence="patches", patch=5)
    with pytest.raises(ValueError, match="must be one of rows, patches, pixels; got 'columns'"):
        build("image", "sequence", sequence="columns")


def test_video_as_grid_and_as_frames() -> None:
    x = random_samples("video", 2)
    n = torch.tensor([5, 5])
    grid = build("video", "grid", mean=0.0, std=1.0)(x, n)[0]
    frames = build("video", "sequence", mean=0.0, std=1.0)(x, n)[0]
    assert torch.equal(grid[1, 4, 2, 3], x[1, 4, :, 2, 3])
    assert torch.equal(frames[1, 4], x[1, 4].flatten())


def test_equal_tokens_have_equal_vectors() -> None:
    stem = build("text", "sequence", dim=5)
    features, _ = stem(torch.tensor([[3, 1, 3]]), None)
    assert torch.equal(features[0, 0], features[0, 2]) and features.shape == (1, 3, 5)
    assert torch.equal(features[0, 1], stem.embedding.weight[1])


def numpy_log_mel(x: np.ndarray, rate: int, mels: int, lowest: float) -> np.ndarray:
    """Compute log-mel frames of 256 samples, 80 apart, from the definitions."""
    frames = np.stack([x[start : start + 256] for start in range(0, len(x) - 255, 80)])
    n = np.arange(256)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 256)
    power = np.abs((frames * hann) @ np.exp(-2j * np.pi * np.outer(n, np.arange(129)) / 256)) ** 2

    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    corners = 700 * (10 ** (np.linspace(mel(lowest), mel(rate / 2), mels + 2) / 2595) - 1)
    bins = np.arange(129) * rate / 256
    filters = np.stack(
        [np.interp(bins, corners[k : k + 3], [0, 1, 0], left=0, right=0) for k in range(mels)]
    )
    return np.log(np.maximum(power @ filters.T, MIN_POWER))


def test_log_mel_equals_the_definition() -> None:
    x = torch.randn(1, 2000, generator=torch.Generator().manual_seed(1)) * 0.1
    stem = build("speech", "sequence", mean=0.0, std=1.0)
    features, mask = stem(x, None)
    assert mask is None
    expected = numpy_log_mel(x[0].double().numpy(), 8000, 40, 80.0)
    np.testing.assert_allclose(features[0].numpy(), expected, atol=2e-4)


def test_mel_filters_are_not_empty_and_silence_is_finite() -> None:
    stem = build("speech", "grid")
    assert (stem.mel_spectrogram.mel_scale.fb.sum(0) > 0).all()
    features, mask = stem(torch.zeros(2, 2000), torch.tensor([2000, 1]))
    assert features.isfinite().all() and mask.sum(1).tolist() == [22, 1]


def test_state_dict_has_no_constants() -> None:
    assert not build("speech", "grid").state_dict()
    assert list(build("text", "grid").state_dict()) == ["embedding.weight"]


@pytest.mark.parametrize("input_layout", ["grid", "sequence"])
@pytest.mark.parametrize("name", ["image", "video"])
def test_bytes_and_floats_give_the_same_features(name: str, input_layout: InputLayout) -> None:
    stem = build(name, input_layout)
    pixels = torch.randint(0, 256, (2, *SPECS[name].shape), dtype=torch.uint8)
    lengths = torch.tensor([5, 3]) if SPECS[name].ragged else None
    torch.testing.assert_close(stem(pixels, lengths)[0], stem(pixels.float() / 255, lengths)[0])


def test_augmentation_applies_in_training_only() -> None:
    stem = build("image", "grid", flip=0.5, shift=2)
    pixels = random_samples("image", 64)
    plain = build("image", "grid")(pixels, None)[0]
    assert torch.equal(stem.eval()(pixels, None)[0], plain)
    first, second = stem.train()(pixels, None)[0], stem(pixels, None)[0]
    assert first.shape == plain.shape and not torch.equal(first, second)


def test_augment_only_mirrors_and_shifts() -> None:
    pixels = random_samples("image", 200)
    mirrored = augment(pixels, 0.5, 0)
    unchanged = (mirrored == pixels).flatten(1).all(1)
    assert torch.equal(mirrored[~unchanged], pixels.flip(-1)[~unchanged])
    assert 60 < int(unchanged.sum()) < 140
    assert torch.equal(augment(pixels, 1.0, 0), pixels.flip(-1))
    shifted = augment(pixels, 0.0, 1)
    padded = torch.nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    crops = [padded[:, :, a : a + 8, b : b + 12] for a in range(3) for b in range(3)]
    matches = torch.stack([(shifted == crop).flatten(1).all(1) for crop in crops])
    assert matches.any(0).all() and matches.any(1).all()


def test_crop_takes_consecutive_frames() -> None:
    video = spec("video", (7, 1, 4, 6))
    pixels = torch.arange(7.0)[None, :, None, None, None].expand(200, 7, 1, 4, 6)
    stem = Video(video, input_layout="sequence", mean=0.0, std=1.0, crop=5)
    assert stem.out.grid == (5,)
    frames = stem.train()(pixels, None)[0][:, :, 0]
    assert torch.equal(frames - frames[:, :1], torch.arange(5.0).expand(200, 5))
    assert frames[:, 0].unique().tolist() == [0.0, 1.0, 2.0]
    assert stem.eval()(pixels[:1], None)[0][0, :, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(
        ValueError, match=r"stem\.crop must be from 1 to 7, the clip's frames; got 8"
    ):
        Video(video, input_layout="sequence", crop=8)
    with pytest.raises(ValueError, match=r"motion_std must be above 0, got 0; .*; stem\.crop must"):
        Video(video, input_layout="sequence", sees="all", motion_std=0, crop=8)
    with pytest.raises(ValueError, match=r"stem\.crop needs clips of equal length"):
        build("video", "grid", crop=2)


def test_flip_above_one_raises() -> None:
    with pytest.raises(ValueError, match=r"stem\.flip"):
        build("image", "grid", flip=1.5)
