"""Datasets: cards, fingerprints, splits that do not leak, and what each one promises."""

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
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from quintain.contracts import Batch, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError
from quintain.kit.files.idx import read_idx
from quintain.plugins.dataset.fashion_mnist import FashionMnist
from quintain.plugins.dataset.fsdd import Fsdd
from quintain.plugins.dataset.moving_digits import _film, _Pose
from quintain.plugins.dataset.pydoc import manual
from quintain.testing.dataset_checks import DTYPES

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "conf" / "dataset").glob("*.yaml"))
SPLITS: tuple[Split, ...] = ("train", "val", "test")
OURS = (
    *("digits", "fashion_mnist", "fsdd", "moving_digits", "pydoc"),
    *("spoken_words", "sunspots"),
)
DOWNLOADED = {"fashion_mnist": "FashionMNIST/raw", "fsdd": "fsdd/recordings"}


def config(name: str) -> dict[str, Any]:
    text = (ROOT / "conf" / "dataset" / f"{name}.yaml").read_text()
    settings: dict[str, Any] = yaml.safe_load(text)["dataset"]
    return settings


def data_dir() -> Path:
    return Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data"))


@cache
def loaded(name: str) -> InMemory:
    """The dataset as its YAML has it; skips where its files would have to be downloaded."""
    settings = {
        key: value for key, value in config(name).items() if key not in ("card", "_target_")
    }
    if name in DOWNLOADED:
        if not (data_dir() / DOWNLOADED[name]).is_dir():
            pytest.skip(f"{name} needs files: set QUINTAIN_DATA to a folder that has them")
        settings["data_dir"] = str(data_dir())
    module, _, target = config(name)["_target_"].rpartition(".")
    data: InMemory = getattr(importlib.import_module(module), target)(**settings)
    data.setup("fit")
    return data


def whole(name: str, split: Split) -> Batch:
    data = loaded(name)
    return data.take(split, torch.arange(data.size(split)))


@pytest.mark.parametrize("name", OURS)
def test_card_tells_the_truth(name: str) -> None:
    card, data = config(name)["card"], loaded(name)
    if "python_text" in card:  # differs with every release of CPython
        assert not {"counts", "fingerprint"} & set(card)
        return
    assert {split: data.size(split) for split in SPLITS} == card["counts"]
    assert data.fingerprint() == card["fingerprint"]


def test_pydoc_does_not_repeat_its_train_text_in_test() -> None:
    """Under 1 % of the held-out characters lie in 128 that stand in train just so."""
    train = bytes(manual_tokens("train"))
    grams = {train[k : k + 128] for k in range(len(train) - 127)}
    for split in ("val", "test"):
        held_out = bytes(manual_tokens(split))
        copied = np.zeros(len(held_out), dtype=bool)
        for k in range(len(held_out) - 127):
            if held_out[k : k + 128] in grams:
                copied[k : k + 128] = True
        assert copied.mean() < 0.01


def manual_tokens(split: Split) -> list[int]:
    """The text of a split of pydoc, its overlapping windows put together again."""
    x, y, *_ = whole("pydoc", split)
    step = 16 if split == "train" else 64
    return [*x[:, :step].flatten().tolist(), *x[-1, step:].tolist(), int(y[-1, -1])]


@pytest.mark.parametrize("name", OURS)
def test_batches_are_what_the_spec_says(name: str) -> None:
    data, spec = loaded(name), loaded(name).spec
    assert spec.name == name
    for split in SPLITS:
        x, y, lengths, _ = data.take(split, torch.tensor([3, 0, 3]))
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


@pytest.mark.parametrize("name", [n for n in OURS if n not in ("pydoc", "sunspots")])
def test_classes_are_balanced_in_every_split(name: str) -> None:
    for split in SPLITS:
        counts = torch.bincount(whole(name, split).y, minlength=len(loaded(name).spec.classes))
        share = counts / counts.sum() * len(counts)
        assert share.min() > 0.85 and share.max() < 1.15


@pytest.mark.parametrize("name", ["digits", "moving_digits", "spoken_words"])
def test_values_are_in_range_and_no_sample_is_in_two_splits(name: str) -> None:
    seen: set[bytes] = set()
    for split in SPLITS:
        x = whole(name, split).x
        assert x.dtype == torch.uint8 or x.abs().max() <= 1
        samples = {sample.numpy().tobytes() for sample in x}
        assert not samples & seen
        seen |= samples


def test_digits_are_those_of_scikit_learn() -> None:
    ours = sorted(sample.numpy().tobytes() for s in SPLITS for sample in whole("digits", s).x)
    theirs = sorted((row / 16).astype(np.float32).tobytes() for row in load_digits().data)
    assert ours == theirs


@pytest.mark.parametrize("frame", [0, 6, 11])
def test_no_single_frame_tells_the_motion(frame: int) -> None:
    train, test = whole("moving_digits", "train"), whole("moving_digits", "test")
    shown = [split.x[:, frame].flatten(1) / 255 for split in (train, test)]
    model = LogisticRegression(C=0.01, max_iter=1000).fit(shown[0], train.y)
    accuracy = model.score(shown[1], test.y)
    assert accuracy < 1 / 8 + 4 * (1 / 8 * 7 / 8 / len(test.y)) ** 0.5  # four standard errors


def test_motions_go_where_their_names_say() -> None:
    """On a torus the phase of the lowest Fourier term is the position: left makes it smaller."""
    x, y, *_ = whole("moving_digits", "test")
    x = x.float()
    wave = torch.exp(2j * torch.pi * torch.arange(16) / 16)
    classes = loaded("moving_digits").spec.classes
    across = ((x[:, :, 0].sum(2) + 0j) @ wave).angle()
    down = ((x[:, :, 0].sum(3) + 0j) @ wave).angle()
    for axis, back, forth in ((across, "left", "right"), (down, "up", "down")):
        steps = torch.remainder(axis.diff(dim=1) + torch.pi, 2 * torch.pi) - torch.pi
        assert (steps[y == classes.index(back)].mean(1) < 0).all()
        assert (steps[y == classes.index(forth)].mean(1) > 0).all()
    ink = x.sum((2, 3, 4)).diff(dim=1)  # grows in most steps, and falls once where it starts again
    assert (ink[y == classes.index("grow")].median(1).values > 0).float().mean() > 0.95
    assert (ink[y == classes.index("shrink")].median(1).values < 0).float().mean() > 0.95


def test_a_digit_that_turns_clockwise_does() -> None:
    """A quarter turn at the canvas' centre, against numpy's rot90."""
    image = torch.from_numpy(load_digits().images[:1]).float()
    angle = np.array([[0.0, np.pi / 2] + [0.0] * 10])
    still = np.full((1, 12), 8.0)
    first, turned = _film(image, _Pose(still, still, angle, np.ones((1, 12))))[0, :2, 0]
    expected = np.pad(np.round(image[0].numpy() * 255 / 16), 4)
    assert np.array_equal(first.numpy(), expected)
    assert np.array_equal(turned.numpy(), np.rot90(expected, k=-1))


def test_what_lies_behind_a_sound_is_zero() -> None:
    for split in SPLITS:
        x, _, lengths, _ = whole("spoken_words", split)
        assert lengths is not None and lengths.min() > 1600 and lengths.max() <= x.shape[1]
        behind = torch.arange(x.shape[1]) >= lengths[:, None]
        assert (x[behind] == 0).all()
        last = x[torch.arange(len(x))[:, None], lengths[:, None] - 1 - torch.arange(80)]
        assert last.abs().amax(1).min() > 0  # background noise up to the very end


def test_an_average_spectrum_tells_pairs_of_words_but_not_their_order() -> None:
    train, test = whole("spoken_words", "train"), whole("spoken_words", "test")

    def spectrum(batch: Batch) -> np.ndarray:
        power = torch.fft.rfft(batch.x.unfold(1, 256, 128)).abs().square().mean(1)
        return (power[:, 1:].unflatten(1, (32, 4)).mean(2) + 1e-6).log().numpy()

    model = LogisticRegression(max_iter=2000).fit(spectrum(train), train.y)
    guess, truth = torch.from_numpy(model.predict(spectrum(test))), test.y
    pair = (guess // 2 == truth // 2).float().mean()
    word = (guess == truth).float().mean()
    assert pair > 0.7 and word < 0.75 * pair


def test_words_come_with_their_reversals() -> None:
    words = loaded("spoken_words").spec.classes
    assert all(a == b[::-1] and a != b for a, b in zip(words[::2], words[1::2], strict=True))


def test_pydoc_reads_one_character_ahead_and_each_once() -> None:
    text = manual()
    alphabet = "?\n" + "".join(map(chr, range(32, 127)))
    plain = "".join(c if c in alphabet[1:] else "?" for c in text)

    def decode(tokens: Tensor) -> str:
        return "".join(alphabet[token] for token in tokens.flatten().tolist())

    for split in SPLITS:
        x, y, *_ = whole("pydoc", split)
        assert torch.equal(x[:, 1:], y[:, :-1])
    val, test = whole("pydoc", "val"), whole("pydoc", "test")
    held_out = decode(val.x) + decode(val.y[-1, -1:]) + decode(test.x) + decode(test.y[-1, -1:])
    assert plain.endswith(held_out)
    train = whole("pydoc", "train").x
    assert plain.startswith(decode(train[0])) and decode(train[2]) == plain[32:96]
    seen = 16 * (len(train) - 1) + 65  # characters, the last target included
    assert len(text) - len(held_out) - 16 < seen <= len(text) - len(held_out)


def test_sunspots_are_standardised_by_train_years_and_beatable() -> None:
    train, test = whole("sunspots", "train"), whole("sunspots", "test")
    years = torch.cat((train.x[0, :, 0], train.y[:, 0, 0], train.y[-1, 1:, 0]))
    assert len(years) == 216
    assert abs(years.mean()) < 1e-5 and abs(years.std(correction=0) - 1) < 1e-5
    persistence = (test.x[:, -1:] - test.y).abs().mean()
    inputs = torch.cat((train.x[..., 0], torch.ones(len(train.x), 1)), 1)
    weights = torch.linalg.lstsq(inputs, train.y[..., 0]).solution
    linear = torch.cat((test.x[..., 0], torch.ones(len(test.x), 1)), 1) @ weights
    assert (linear - test.y[..., 0]).abs().mean() < 0.6 * persistence


def idx(values: np.ndarray) -> bytes:
    """The format by hand: zero, zero, type 8, number of axes, sizes, bytes."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def test_idx_files_are_read_strictly(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "file"
    path.write_bytes(idx(values))
    assert np.array_equal(read_idx(path), values)
    packed = tmp_path / "file.gz"
    packed.write_bytes(gzip.compress(idx(values)))
    assert np.array_equal(read_idx(packed), values)
    for content, says in (
        (idx(values)[:-1], "truncated or damaged"),
        (idx(values) + b"x", "truncated or damaged"),
        (idx(values)[:7], "truncated or damaged"),
        (b"", "no IDX file"),
        (b"\0\0\x0d\x01" + bytes(8), "no IDX file"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=says):
            read_idx(path)
    packed.write_bytes(gzip.compress(idx(values))[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(packed)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "absent")


def test_fashion_mnist_from_unpacked_files(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (5003, 28, 28), dtype=np.uint8)
    labels = np.arange(5003, dtype=np.uint8) % 10
    for part, count in (("train", 5003), ("t10k", 4)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images[:count]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels[:count]))
    data = FashionMnist(str(tmp_path))
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [3, 5000, 4]
    batch = data.take("val", torch.tensor([0]))
    assert torch.equal(batch.x[0, 0], torch.from_numpy(images[3]))
    assert batch.y.tolist() == [3]
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:3]))
    with pytest.raises(DataError, match=r"expected \(N, 28, 28\)"):
        FashionMnist(str(tmp_path)).setup()


def test_fsdd_splits_by_index_and_crops(tmp_path: Path) -> None:
    folder = tmp_path / "free-spoken-digit-dataset" / "recordings"
    folder.mkdir(parents=True)
    for index, samples in ((0, 100), (4, 9000), (5, 200), (9, 300), (10, 400)):
        sound = np.full(samples, 0.5, np.float32)
        soundfile.write(folder / f"7_ann_{index}.wav", sound, 8000, subtype="PCM_16")
    data = Fsdd(str(tmp_path))
    data.setup()
    lengths = {split: data.take(split, torch.arange(data.size(split))).lengths for split in SPLITS}
    assert {split: n.tolist() for split, n in lengths.items() if n is not None} == {
        "train": [400],
        "val": [200, 300],
        "test": [100, 8000],
    }
    x, y, *_ = data.take("test", torch.tensor([0]))
    assert y.tolist() == [7] and (x[0, :100] == 0.5).all() and (x[0, 100:] == 0).all()
    with pytest.raises(DataError, match="expected dbd573"):
        data.prepare_data()
    soundfile.write(folder / "1_ann_0.wav", np.zeros(5), 16000)
    with pytest.raises(DataError, match="expected 8000 Hz mono"):
        Fsdd(str(tmp_path)).setup()
    with pytest.raises(DataError, match="lacks recordings"):
        Fsdd(str(tmp_path / "absent")).setup()


@pytest.mark.parametrize("name", sorted(DOWNLOADED))
def test_real_files_pass_their_checks(name: str, tmp_path: Path) -> None:
    if not (data_dir() / DOWNLOADED[name]).is_dir():
        pytest.skip(f"{name} needs files: set QUINTAIN_DATA to a folder that has them")
    copy = tmp_path / DOWNLOADED[name]
    shutil.copytree(data_dir() / DOWNLOADED[name], copy)
    data = type(loaded(name))(str(tmp_path))  # type: ignore[call-arg, arg-type]
    data.prepare_data()
    victim = sorted(copy.iterdir())[-1]
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(DataError, match="expected"):
        data.prepare_data()
