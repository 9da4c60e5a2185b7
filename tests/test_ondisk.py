"""Data sets of many files: the same numbers from memory and from disk."""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.files.download import DataError
from quintain.kit.ondisk import Item, OnDisk
from quintain.run.feed import EvaluationFeed, Order, TrainFeed

SPLITS: tuple[Split, ...] = ("train", "val", "test")
SOUND = DataSpec(
    name="sounds",
    modality="speech",
    task="transcribe",
    shape=(400,),
    sample_rate=8000,
    symbols=3,
    target_length=4,
    ragged=True,
)


class Sounds(OnDisk):
    """WAV files with a transcript each; every third is for another split."""

    def __init__(self, files: Sequence[Path], *, memory: float = 1024, workers: int = 2) -> None:
        super().__init__(SOUND, memory=memory, workers=workers)
        self.files = files

    def items(self) -> Mapping[Split, Sequence[Item]]:
        every = [Item(path, (1,) * (1 + n % 4)) for n, path in enumerate(self.files)]
        return {split: every[n::3] for n, split in enumerate(SPLITS)}

    def read(self, item: Item) -> Tensor:
        return torch.from_numpy(soundfile.read(item.path, dtype="int16")[0])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    draw = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.wav" for n in range(30)]
    for n, path in enumerate(paths):
        soundfile.write(path, draw.uniform(-1, 1, 100 + 10 * n), 8000, subtype="PCM_16")
    return paths


def test_from_memory_and_from_disk_bit_for_bit(files: list[Path]) -> None:
    decoded, streamed = Sounds(files), Sounds(files, memory=0.001, workers=3)
    for data in (decoded, streamed):
        data.setup()
    assert not decoded.streams and streamed.streams
    assert "memory" in decoded.notes[0] and "memory=0.001" in streamed.notes[0]
    for split in SPLITS:
        assert decoded.size(split) == streamed.size(split) == 10
        some = torch.tensor([7, 0, 3, 3])
        for a, b in zip(decoded.take(split, some), streamed.take(split, some), strict=True):
            assert a is not None and b is not None
            assert a.dtype == b.dtype and torch.equal(a, b)
    assert decoded.fingerprint() == streamed.fingerprint()


def test_what_comes_is_what_the_files_hold(files: list[Path]) -> None:
    data = Sounds(files)
    data.setup()
    batch = data.take("val", torch.tensor([2, 5]))  # files 7 and 16
    assert batch.lengths is not None and batch.lengths.tolist() == [170, 260]
    assert batch.x.shape == (2, 260) and not batch.x[0, 170:].any()
    expected = soundfile.read(files[16], dtype="float32")[0]
    assert np.array_equal(batch.x[1].numpy(), expected)
    assert batch.y.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert batch.y_lengths is not None and batch.y_lengths.tolist() == [4, 1]


def test_a_fingerprint_sees_content_and_targets_but_no_names(files: list[Path]) -> None:
    def of(paths: Sequence[Path]) -> str:
        data = Sounds(paths)
        data.setup()
        return data.fingerprint()

    first = of(files)
    renamed = files[4].rename(files[4].with_name("other name.wav"))
    files[4] = renamed
    assert of(files) == first
    assert of([*files[1:], files[0]]) != first
    soundfile.write(files[9], np.zeros(100), 8000, subtype="PCM_16")
    assert of(files) != first


@pytest.mark.parametrize("memory", [1024, 0])
def test_files_that_cannot_be_read_are_named(files: list[Path], memory: float) -> None:
    for bad in files[3:30:2]:  # the first, which is looked at beforehand, is fine
        bad.write_bytes(b"RIFF")
    soundfile.write(files[6], np.zeros(500), 8000)
    data = Sounds(files, memory=memory)
    if memory:
        with pytest.raises(DataError, match=r"(?s)3\.wav cannot be read.*") as error:
            data.setup()
        assert "6.wav has the shape (500,), expected (400,) or shorter" in str(error.value)
        return
    data.setup()
    with pytest.raises(DataError, match=r"3\.wav cannot be read"):
        data.take("train", torch.tensor([0, 1]))


def test_a_split_without_samples_is_refused(files: list[Path]) -> None:
    with pytest.raises(DataError, match="no samples for val and test"):
        Sounds(files[:1]).setup()
    with pytest.raises(RuntimeError, match="call prepare_data"):
        Sounds(files).size("train")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        Sounds(files, workers=0)


@pytest.mark.parametrize("memory", [1024, 0])
def test_lengths_are_those_of_the_samples_either_way(files: list[Path], memory: float) -> None:
    data = Sounds(files, memory=memory)
    data.setup()
    found = data.lengths("val")
    assert found is not None and found.tolist() == [110 + 30 * n for n in range(10)]

    class Knowing(Sounds):
        def items(self) -> Mapping[Split, Sequence[Item]]:
            return {
                split: [replace(item, steps=7 + n) for n, item in enumerate(items)]
                for split, items in super().items().items()
            }

    knowing = Knowing(files, memory=memory)
    knowing.setup()
    said = knowing.lengths("val")
    assert said is not None and said.tolist() == [*range(7, 17)]  # no file is read for it


def test_batches_of_like_length_are_the_same_from_memory_and_from_disk(files: list[Path]) -> None:
    padded, found = {}, []
    for memory in (1024, 0):
        data = Sounds(files, memory=memory)
        data.setup()
        lengths = data.lengths("train")
        for pool in (1, 2):
            order = Order(10, 4, 1, lengths if pool > 1 else None, pool)
            assert order.grouped == (pool > 1)
            batches = [*chain(*TrainFeed(data, order, steps=8, chunk=2))]
            padded[pool] = sum(int((b.x.shape[1] - b.lengths).sum()) for b in batches)
        found.append(batches)
    assert all(equal(a, b) for a, b in zip(*found, strict=True))
    assert padded[2] < 0.8 * padded[1]
    assert not Order(10, 4, 1, torch.full((10,), 3), 2).grouped
    assert not Order(10, 6, 1, torch.arange(10), 2).grouped


@pytest.mark.parametrize("memory", [1024, 0])
def test_samples_without_steps_keep_one_column(files: list[Path], memory: float) -> None:
    class Empty(Sounds):
        def items(self) -> Mapping[Split, Sequence[Item]]:
            return {s: [replace(item, y=()) for item in i] for s, i in super().items().items()}

        def read(self, item: Item) -> Tensor:
            return super().read(item)[:0]

    data = Empty(files, memory=memory)
    data.setup()
    x, y, lengths, y_lengths = data.take("train", torch.tensor([1, 2]))
    assert x.shape == y.shape == (2, 1) and not x.any() and not y.any()
    assert lengths is not None and y_lengths is not None
    assert lengths.tolist() == y_lengths.tolist() == [0, 0]


def chunks_of(data: Sounds, seed: int = 1) -> list[list[Batch]]:
    order = Order(data.size("train"), 4, seed)
    return list(TrainFeed(data, order, steps=9, chunk=2, validations=2))


def equal(a: Batch, b: Batch) -> bool:
    return all(
        x is y is None or (x is not None and y is not None and torch.equal(x, y))
        for x, y in zip(a, b, strict=True)
    )


def feeding() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("quintain-feed")]


def test_chunks_read_ahead_are_those_from_memory(files: list[Path]) -> None:
    decoded, streamed = Sounds(files), Sounds(files, memory=0)
    for data in (decoded, streamed):
        data.setup()
    one, other = chunks_of(decoded), chunks_of(streamed)
    assert [len(chunk) for chunk in one] == [len(chunk) for chunk in other] == [1, 2] * 3
    for a, b in zip(chain(*one), chain(*other), strict=True):
        assert equal(a, b)
    for a, b in zip(
        EvaluationFeed(decoded, "test", 4), EvaluationFeed(streamed, "test", 4), strict=True
    ):
        assert equal(a, b)
    assert feeding() == []


def test_the_next_chunk_is_read_while_one_is_used(files: list[Path]) -> None:
    data = Sounds(files, memory=0)
    data.setup()
    taken, enough = 0, threading.Event()

    def take(split: Split, indices: Tensor) -> Batch:
        nonlocal taken
        batch = OnDisk.take(data, split, indices)
        assert threading.current_thread().name.startswith("quintain-feed")
        taken += 1
        if taken == 4:
            enough.set()
        return batch

    data.take = take  # type: ignore[method-assign]
    feed = TrainFeed(data, Order(10, 4, 1), steps=8, chunk=2)
    chunks = iter(feed)
    next(chunks)
    assert enough.wait(120)  # the second chunk came without being asked for
    assert feed.seconds > 0
    del chunks  # whoever trained has stopped
    for thread in threading.enumerate():
        if thread.name.startswith("quintain-feed"):
            thread.join(120)  # it was finishing
    assert feeding() == []


def test_an_error_while_reading_ahead_surfaces(files: list[Path]) -> None:
    data = Sounds(files, memory=0)
    data.setup()
    for path in files[3::3]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        chunks_of(data)
    assert feeding() == []


def test_large_samples_come_in_small_chunks(files: list[Path], monkeypatch: Any) -> None:
    data = Sounds(files, memory=0)
    data.setup()
    monkeypatch.setattr("quintain.run.feed.AHEAD", 2 * 4 * 400 * 4)
    feed = TrainFeed(data, Order(10, 4, 1), steps=8, chunk=8)
    assert [len(chunk) for chunk in feed] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "error", [KeyError("fps"), struct.error("4 bytes"), IndexError(), TypeError()]
)
def test_a_file_is_named_whatever_its_decoder_raises(files: list[Path], error: Exception) -> None:
    class Odd(Sounds):
        def read(self, item: Item) -> Tensor:
            if item.path.name == "3.wav":
                raise error
            return super().read(item)

    with pytest.raises(DataError, match=r"3\.wav cannot be read \(\w") as found:
        Odd(files).setup()
    assert found.value.args[0].count("cannot be read") == 1
    if isinstance(error, KeyError):
        assert "KeyError: 'fps'" in str(found.value)
