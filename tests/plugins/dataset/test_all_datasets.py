"""Datasets: cards, fingerprints, splits without overlap, and properties of each dataset."""

from __future__ import annotations

import gzip
import importlib
import os
import shutil
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from helpers.paths import ROOT
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from quintain.contracts import Batch, Split
from quintain.data.base import InMemory
from quintain.data.image.mnist_format import read_idx
from quintain.errors import DataError
from quintain.plugins.dataset.fashion_mnist import FashionMnist
from quintain.plugins.dataset.fsdd import Fsdd
from quintain.plugins.dataset.moving_digits import _Pose, _render
from quintain.plugins.dataset.pydoc import unique_lines
from quintain.testing.dataset_checks import DTYPES

NAMES = sorted(path.stem for path in (ROOT / "conf" / "dataset").glob("*.yaml"))
SPLITS: tuple[Split, ...] = ("train", "val", "test")
BUILT_IN = (
    *("digits", "fashion_mnist", "fsdd", "moving_digits", "pydoc"),
    *("spoken_words", "sunspots"),
)
DOWNLOADED = {"fashion_mnist": "FashionMNIST/raw", "fsdd": "fsdd/recordings"}


def read_config(name: str) -> dict[str, Any]:
    text = (ROOT / "conf" / "dataset" / f"{name}.yaml").read_text()
    settings: dict[str, Any] = yaml.safe_load(text)["dataset"]
    return settings


def data_dir() -> Path:
    return Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data"))


@cache
def load_dataset(name: str) -> InMemory:
    """Load the dataset of conf/dataset; skip the test if its files would be downloaded."""
    settings = {
        key: value for key, value in read_config(name).items() if key not in ("card", "_target_")
    }
    if name in DOWNLOADED:
        if not (data_dir() / DOWNLOADED[name]).is_dir():
            pytest.skip(f"{name} needs files: set QUINTAIN_DATA to a folder that has them")
        settings["data_dir"] = str(data_dir())
    module, _, target = read_config(name)["_target_"].rpartition(".")
    data: InMemory = getattr(importlib.import_module(module), target)(**settings)
    data.setup("fit")
    return data


def load_split(name: str, split: Split) -> Batch:
    data = load_dataset(name)
    return data.batch(split, torch.arange(data.size(split)))


@pytest.mark.parametrize("name", BUILT_IN)
def test_card_has_counts_and_fingerprint_of_the_data(name: str) -> None:
    card, data = read_config(name)["card"], load_dataset(name)
    if "python_text" in card:  # differs with every release of CPython
        assert not {"counts", "fingerprint"} & set(card)
        return
    assert {split: data.size(split) for split in SPLITS} == card["counts"]
    assert data.fingerprint() == card["fingerprint"]


def test_pydoc_does_not_repeat_its_train_text_in_test() -> None:
    """Less than 1 % of the held-out characters are in a run of 128 that occurs in train."""
    train = bytes(joined_tokens("train"))
    grams = {train[k : k + 128] for k in range(len(train) - 127)}
    for split in ("val", "test"):
        held_out = bytes(joined_tokens(split))
        copied = np.zeros(len(held_out), dtype=bool)
        for k in range(len(held_out) - 127):
            if held_out[k : k + 128] in grams:
                copied[k : k + 128] = True
        assert copied.mean() < 0.01


def joined_tokens(split: Split) -> list[int]:
    """Return the tokens of a split of pydoc, joined from its overlapping windows."""
    x, y, *_ = load_split("pydoc", split)
    step = 16 if split == "train" else 64
    return [*x[:, :step].flatten().tolist(), *x[-1, step:].tolist(), int(y[-1, -1])]


@pytest.mark.parametrize("name", BUILT_IN)
def test_batches_have_shapes_and_dtypes_of_the_spec(name: str) -> None:
    data, spec = load_dataset(name), load_dataset(name).spec
    assert spec.name == name
    for split in SPLITS:
        x, y, lengths, *_ = data.batch(split, torch.tensor([3, 0, 3]))
        longest = spec.shape[0] if lengths is None else int(lengths.max())
        assert x.shape == (3, longest, *spec.shape[1:]) and torch.equal(x[0], x[2])
        assert x.dtype in DTYPES.get(spec.modality, (torch.float32,))
        assert (lengths is not None) == spec.ragged
        assert (
            y.shape
            == {
                "classify": (3,),
                "next_token": (3, *spec.shape),
                "forecast": (3, spec.horizon, spec.shape[-1]),
            }[spec.task]
        )
        assert y.dtype == (torch.float32 if spec.task == "forecast" else torch.long)


@pytest.mark.parametrize("name", [n for n in BUILT_IN if n not in ("pydoc", "sunspots")])
def test_classes_are_balanced_in_every_split(name: str) -> None:
    for split in SPLITS:
        counts = torch.bincount(
            load_split(name, split).y, minlength=len(load_dataset(name).spec.classes)
        )
        share = counts / counts.sum() * len(counts)
        assert share.min() > 0.85 and share.max() < 1.15


@pytest.mark.parametrize("name", ["digits", "moving_digits", "spoken_words"])
def test_values_are_in_range_and_no_sample_is_in_two_splits(name: str) -> None:
    earlier: set[bytes] = set()
    for split in SPLITS:
        x = load_split(name, split).x
        assert x.dtype == torch.uint8 or x.abs().max() <= 1
        samples = {sample.numpy().tobytes() for sample in x}
        assert not samples & earlier
        earlier |= samples


def test_digits_equal_those_of_scikit_learn() -> None:
    images = sorted(
        sample.numpy().tobytes() for s in SPLITS for sample in load_split("digits", s).x
    )
    expected = sorted((row / 16).astype(np.float32).tobytes() for row in load_digits().data)
    assert images == expected


@pytest.mark.parametrize("frame", [0, 6, 11])
def test_single_frame_does_not_show_the_motion(frame: int) -> None:
    train, test = load_split("moving_digits", "train"), load_split("moving_digits", "test")
    frames = [split.x[:, frame].flatten(1) / 255 for split in (train, test)]
    model = LogisticRegression(C=0.01, max_iter=1000).fit(frames[0], train.y)
    accuracy = model.score(frames[1], test.y)
    assert accuracy < 1 / 8 + 4 * (1 / 8 * 7 / 8 / len(test.y)) ** 0.5  # four standard errors


def test_motions_go_in_the_direction_of_their_names() -> None:
    """With wrapped edges, the phase of the lowest Fourier term is the position."""
    x, y, *_ = load_split("moving_digits", "test")
    x = x.float()
    wave = torch.exp(2j * torch.pi * torch.arange(16) / 16)
    classes = load_dataset("moving_digits").spec.classes
    across = ((x[:, :, 0].sum(2) + 0j) @ wave).angle()
    down = ((x[:, :, 0].sum(3) + 0j) @ wave).angle()
    for axis, backwards, forwards in ((across, "left", "right"), (down, "up", "down")):
        steps = torch.remainder(axis.diff(dim=1) + torch.pi, 2 * torch.pi) - torch.pi
        assert (steps[y == classes.index(backwards)].mean(1) < 0).all()
        assert (steps[y == classes.index(forwards)].mean(1) > 0).all()
    ink = x.sum((2, 3, 4)).diff(dim=1)  # increases in most steps, and decreases when the size wraps
    assert (ink[y == classes.index("grow")].median(1).values > 0).float().mean() > 0.95
    assert (ink[y == classes.index("shrink")].median(1).values < 0).float().mean() > 0.95


def test_rotated_digit_equals_numpys_rot90() -> None:
    image = torch.from_numpy(load_digits().images[:1]).float()
    angle = np.array([[0.0, np.pi / 2] + [0.0] * 10])
    centre = np.full((1, 12), 8.0)
    first, turned = _render(image, _Pose(centre, centre, angle, np.ones((1, 12))))[0, :2, 0]
    expected = np.pad(np.round(image[0].numpy() * 255 / 16), 4)
    assert np.array_equal(first.numpy(), expected)
    assert np.array_equal(turned.numpy(), np.rot90(expected, k=-1))


def test_padding_of_spoken_words_is_zero() -> None:
    for split in SPLITS:
        x, _, lengths, *_ = load_split("spoken_words", split)
        assert lengths is not None and lengths.min() > 1600 and lengths.max() <= x.shape[1]
        is_padding = torch.arange(x.shape[1]) >= lengths[:, None]
        assert (x[is_padding] == 0).all()
        last = x[torch.arange(len(x))[:, None], lengths[:, None] - 1 - torch.arange(80)]
        assert last.abs().amax(1).min() > 0  # background noise until the last sample


def test_average_spectrum_shows_the_pair_but_not_the_word() -> None:
    train, test = load_split("spoken_words", "train"), load_split("spoken_words", "test")

    def spectrum(batch: Batch) -> np.ndarray:
        power = torch.fft.rfft(batch.x.unfold(1, 256, 128)).abs().square().mean(1)
        return (power[:, 1:].unflatten(1, (32, 4)).mean(2) + 1e-6).log().numpy()

    model = LogisticRegression(max_iter=2000).fit(spectrum(train), train.y)
    predicted, true = torch.from_numpy(model.predict(spectrum(test))), test.y
    pair = (predicted // 2 == true // 2).float().mean()
    word = (predicted == true).float().mean()
    assert pair > 0.7 and word < 0.75 * pair


def test_spoken_words_are_pairs_of_reversals() -> None:
    words = load_dataset("spoken_words").spec.classes
    assert all(a == b[::-1] and a != b for a, b in zip(words[::2], words[1::2], strict=True))


def test_pydoc_targets_are_one_character_ahead_and_occur_once() -> None:
    text = unique_lines()
    alphabet = "?\n" + "".join(map(chr, range(32, 127)))
    plain = "".join(c if c in alphabet[1:] else "?" for c in text)

    def decode(tokens: Tensor) -> str:
        return "".join(alphabet[token] for token in tokens.flatten().tolist())

    for split in SPLITS:
        x, y, *_ = load_split("pydoc", split)
        assert torch.equal(x[:, 1:], y[:, :-1])
    val, test = load_split("pydoc", "val"), load_split("pydoc", "test")
    held_out = decode(val.x) + decode(val.y[-1, -1:]) + decode(test.x) + decode(test.y[-1, -1:])
    assert plain.endswith(held_out)
    train = load_split("pydoc", "train").x
    assert plain.startswith(decode(train[0])) and decode(train[2]) == plain[32:96]
    train_size = 16 * (len(train) - 1) + 65  # characters, including the last target
    assert len(text) - len(held_out) - 16 < train_size <= len(text) - len(held_out)


def test_sunspots_are_standardised_by_train_and_linear_beats_persistence() -> None:
    train, test = load_split("sunspots", "train"), load_split("sunspots", "test")
    years = torch.cat((train.x[0, :, 0], train.y[:, 0, 0], train.y[-1, 1:, 0]))
    assert len(years) == 216
    assert abs(years.mean()) < 1e-5 and abs(years.std(correction=0) - 1) < 1e-5
    persistence = (test.x[:, -1:] - test.y).abs().mean()
    inputs = torch.cat((train.x[..., 0], torch.ones(len(train.x), 1)), 1)
    weights = torch.linalg.lstsq(inputs, train.y[..., 0]).solution
    linear = torch.cat((test.x[..., 0], torch.ones(len(test.x), 1)), 1) @ weights
    assert (linear - test.y[..., 0]).abs().mean() < 0.6 * persistence


def to_idx(values: np.ndarray) -> bytes:
    """Return an IDX file: zero, zero, type 8, number of axes, sizes, bytes."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def test_read_idx_checks_the_format(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "file"
    path.write_bytes(to_idx(values))
    assert np.array_equal(read_idx(path), values)
    packed = tmp_path / "file.gz"
    packed.write_bytes(gzip.compress(to_idx(values)))
    assert np.array_equal(read_idx(packed), values)
    for content, message in (
        (to_idx(values)[:-1], "truncated or damaged"),
        (to_idx(values) + b"x", "truncated or damaged"),
        (to_idx(values)[:7], "truncated or damaged"),
        (b"", "not an IDX file"),
        (b"\0\0\x0d\x01" + bytes(8), "not an IDX file"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(path)
    packed.write_bytes(gzip.compress(to_idx(values))[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(packed)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "absent")


def test_fashion_mnist_reads_unpacked_files(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (5003, 28, 28), dtype=np.uint8)
    labels = np.arange(5003, dtype=np.uint8) % 10
    for part, count in (("train", 5003), ("t10k", 4)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(to_idx(images[:count]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(to_idx(labels[:count]))
    data = FashionMnist(str(tmp_path))
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [3, 5000, 4]
    batch = data.batch("val", torch.tensor([0]))
    assert torch.equal(batch.x[0, 0], torch.from_numpy(images[3]))
    assert batch.y.tolist() == [3]
    (raw / "t10k-labels-idx1-ubyte").write_bytes(to_idx(labels[:3]))
    with pytest.raises(DataError, match=r"expected \(N, 28, 28\)"):
        FashionMnist(str(tmp_path)).setup()


def test_fsdd_splits_by_index_and_cuts_long_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "free-spoken-digit-dataset" / "recordings"
    folder.mkdir(parents=True)
    for index, samples in ((0, 100), (4, 9000), (5, 200), (9, 300), (10, 400)):
        audio = np.full(samples, 0.5, np.float32)
        soundfile.write(folder / f"7_ann_{index}.wav", audio, 8000, subtype="PCM_16")
    data = Fsdd(str(tmp_path))
    data.setup()
    lengths = {split: data.batch(split, torch.arange(data.size(split))).lengths for split in SPLITS}
    assert {split: n.tolist() for split, n in lengths.items() if n is not None} == {
        "train": [400],
        "val": [200, 300],
        "test": [100, 8000],
    }
    x, y, *_ = data.batch("test", torch.tensor([0]))
    assert y.tolist() == [7] and (x[0, :100] == 0.5).all() and (x[0, 100:] == 0).all()
    with pytest.raises(DataError, match="expected dbd573"):
        data.prepare_data()
    soundfile.write(folder / "1_ann_0.wav", np.zeros(5), 16000)
    with pytest.raises(DataError, match="expected 8000 Hz mono"):
        Fsdd(str(tmp_path)).setup()
    with pytest.raises(DataError, match="lacks recordings"):
        Fsdd(str(tmp_path / "absent")).setup()


@pytest.mark.parametrize("name", sorted(DOWNLOADED))
def test_real_files_are_verified(name: str, tmp_path: Path) -> None:
    if not (data_dir() / DOWNLOADED[name]).is_dir():
        pytest.skip(f"{name} needs files: set QUINTAIN_DATA to a folder that has them")
    copy = tmp_path / DOWNLOADED[name]
    shutil.copytree(data_dir() / DOWNLOADED[name], copy)
    data = type(load_dataset(name))(str(tmp_path))  # type: ignore[call-arg, arg-type]
    data.prepare_data()
    file = sorted(copy.iterdir())[-1]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="expected"):
        data.prepare_data()
