"""Datasets of many files: batches from memory and from disk are equal."""

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
from helpers.audio_dataset import SPLITS, AudioFiles
from torch import Tensor

from quintain.contracts import Batch, Split
from quintain.data.on_disk import Item, OnDisk
from quintain.errors import DataError
from quintain.run.train.loaders import BatchOrder, EvalLoader, TrainLoader


def test_batches_from_memory_and_from_disk_are_bit_equal(audio_files: list[Path]) -> None:
    decoded, streamed = AudioFiles(audio_files), AudioFiles(audio_files, memory=0.001, workers=3)
    for data in (decoded, streamed):
        data.setup()
    assert not decoded.streams and streamed.streams
    assert "memory" in decoded.notes[0] and "memory=0.001" in streamed.notes[0]
    for split in SPLITS:
        assert decoded.size(split) == streamed.size(split) == 10
        indices = torch.tensor([7, 0, 3, 3])
        first, second = decoded.batch(split, indices), streamed.batch(split, indices)
        assert first.references is None and second.references is None
        for a, b in zip(first[:4], second[:4], strict=True):
            assert a is not None and b is not None
            assert a.dtype == b.dtype and torch.equal(a, b)
    assert decoded.fingerprint() == streamed.fingerprint()


def test_batch_has_the_content_of_the_files(audio_files: list[Path]) -> None:
    data = AudioFiles(audio_files)
    data.setup()
    batch = data.batch("val", torch.tensor([2, 5]))  # audio_files 7 and 16
    assert batch.lengths is not None and batch.lengths.tolist() == [170, 260]
    assert batch.x.shape == (2, 260) and not batch.x[0, 170:].any()
    expected = soundfile.read(audio_files[16], dtype="float32")[0]
    assert np.array_equal(batch.x[1].numpy(), expected)
    assert batch.y.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert batch.y_lengths is not None and batch.y_lengths.tolist() == [4, 1]


def test_fingerprint_depends_on_content_and_targets_but_not_on_names(
    audio_files: list[Path],
) -> None:
    def fingerprint(paths: Sequence[Path]) -> str:
        data = AudioFiles(paths)
        data.setup()
        return data.fingerprint()

    first = fingerprint(audio_files)
    renamed = audio_files[4].rename(audio_files[4].with_name("new name.wav"))
    audio_files[4] = renamed
    assert fingerprint(audio_files) == first
    assert fingerprint([*audio_files[1:], audio_files[0]]) != first
    soundfile.write(audio_files[9], np.zeros(100), 8000, subtype="PCM_16")
    assert fingerprint(audio_files) != first


@pytest.mark.parametrize("memory", [1024, 0])
def test_unreadable_files_are_named(audio_files: list[Path], memory: float) -> None:
    for file in audio_files[3:30:2]:  # not the first, which is read to get the dtype
        file.write_bytes(b"RIFF")
    soundfile.write(audio_files[6], np.zeros(500), 8000)
    data = AudioFiles(audio_files, memory=memory)
    if memory:
        with pytest.raises(DataError, match=r"(?s)3\.wav cannot be read.*") as error:
            data.setup()
        assert "6.wav has the shape (500,), expected (400,) or shorter" in str(error.value)
        return
    data.setup()
    with pytest.raises(DataError, match=r"3\.wav cannot be read"):
        data.batch("train", torch.tensor([0, 1]))


def test_split_without_samples_raises(audio_files: list[Path]) -> None:
    with pytest.raises(DataError, match="no samples for val and test"):
        AudioFiles(audio_files[:1]).setup()
    with pytest.raises(RuntimeError, match="call prepare_data"):
        AudioFiles(audio_files).size("train")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        AudioFiles(audio_files, workers=0)


@pytest.mark.parametrize("memory", [1024, 0])
def test_lengths_are_those_of_the_samples(audio_files: list[Path], memory: float) -> None:
    data = AudioFiles(audio_files, memory=memory)
    data.setup()
    lengths = data.lengths("val")
    assert lengths is not None and lengths.tolist() == [110 + 30 * n for n in range(10)]

    class KnownSteps(AudioFiles):
        def items(self) -> Mapping[Split, Sequence[Item]]:
            return {
                split: [replace(item, steps=7 + n) for n, item in enumerate(items)]
                for split, items in super().items().items()
            }

    with_steps = KnownSteps(audio_files, memory=memory)
    with_steps.setup()
    lengths = with_steps.lengths("val")
    assert lengths is not None and lengths.tolist() == [*range(7, 17)]  # no file is read for it


def test_batches_of_similar_length_are_equal_from_memory_and_from_disk(
    audio_files: list[Path],
) -> None:
    padding, results = {}, []
    for memory in (1024, 0):
        data = AudioFiles(audio_files, memory=memory)
        data.setup()
        lengths = data.lengths("train")
        for pool in (1, 2):
            order = BatchOrder(10, 4, 1, lengths if pool > 1 else None, pool)
            assert order.is_grouped == (pool > 1)
            batches = [*chain(*TrainLoader(data, order, steps=8, chunk=2))]
            padding[pool] = sum(int((b.x.shape[1] - b.lengths).sum()) for b in batches)
        results.append(batches)
    assert all(equal(a, b) for a, b in zip(*results, strict=True))
    assert padding[2] < 0.85 * padding[1]
    assert not BatchOrder(10, 4, 1, torch.full((10,), 3), 2).is_grouped
    assert not BatchOrder(10, 6, 1, torch.arange(10), 2).is_grouped


@pytest.mark.parametrize("memory", [1024, 0])
def test_samples_without_steps_have_one_column(audio_files: list[Path], memory: float) -> None:
    class Empty(AudioFiles):
        def items(self) -> Mapping[Split, Sequence[Item]]:
            return {s: [replace(item, y=()) for item in i] for s, i in super().items().items()}

        def read(self, item: Item) -> Tensor:
            return super().read(item)[:0]

    data = Empty(audio_files, memory=memory)
    data.setup()
    x, y, lengths, y_lengths, _ = data.batch("train", torch.tensor([1, 2]))
    assert x.shape == y.shape == (2, 1) and not x.any() and not y.any()
    assert lengths is not None and y_lengths is not None
    assert lengths.tolist() == y_lengths.tolist() == [0, 0]


def load_chunks(data: AudioFiles, seed: int = 1) -> list[list[Batch]]:
    order = BatchOrder(data.size("train"), 4, seed)
    return list(TrainLoader(data, order, steps=9, chunk=2, validations=2))


def equal(a: Batch, b: Batch) -> bool:
    return all(
        x is y is None or (x is not None and y is not None and torch.equal(x, y))
        for x, y in zip(a, b, strict=True)
    )


def loader_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("quintain-loader")]


def test_prefetched_chunks_equal_those_from_memory(audio_files: list[Path]) -> None:
    decoded, streamed = AudioFiles(audio_files), AudioFiles(audio_files, memory=0)
    for data in (decoded, streamed):
        data.setup()
    from_memory, from_disk = load_chunks(decoded), load_chunks(streamed)
    sizes = [[len(chunk) for chunk in chunks] for chunks in (from_memory, from_disk)]
    assert sizes[0] == sizes[1] == [1, 2] * 3
    for a, b in zip(chain(*from_memory), chain(*from_disk), strict=True):
        assert equal(a, b)
    for a, b in zip(EvalLoader(decoded, "test", 4), EvalLoader(streamed, "test", 4), strict=True):
        assert equal(a, b)
    assert loader_threads() == []


def test_next_chunk_is_read_while_one_is_used(audio_files: list[Path]) -> None:
    data = AudioFiles(audio_files, memory=0)
    data.setup()
    num_batches, second_chunk_read = 0, threading.Event()

    def batch(split: Split, indices: Tensor) -> Batch:
        nonlocal num_batches
        batch = OnDisk.batch(data, split, indices)
        assert threading.current_thread().name.startswith("quintain-loader")
        num_batches += 1
        if num_batches == 4:
            second_chunk_read.set()
        return batch

    data.batch = batch  # type: ignore[method-assign]
    loader = TrainLoader(data, BatchOrder(10, 4, 1), steps=8, chunk=2)
    chunks = iter(loader)
    next(chunks)
    assert second_chunk_read.wait(120)
    assert loader.wait_seconds > 0
    del chunks  # as after training
    for thread in threading.enumerate():
        if thread.name.startswith("quintain-loader"):
            thread.join(120)
    assert loader_threads() == []


def test_error_while_prefetching_is_raised(audio_files: list[Path]) -> None:
    data = AudioFiles(audio_files, memory=0)
    data.setup()
    for path in audio_files[3::3]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        load_chunks(data)
    assert loader_threads() == []


def test_chunks_of_large_samples_are_small(audio_files: list[Path], monkeypatch: Any) -> None:
    data = AudioFiles(audio_files, memory=0)
    data.setup()
    monkeypatch.setattr("quintain.run.train.loaders.PREFETCH_BYTES", 2 * 4 * 400 * 4)
    loader = TrainLoader(data, BatchOrder(10, 4, 1), steps=8, chunk=8)
    assert [len(chunk) for chunk in loader] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "error", [KeyError("fps"), struct.error("4 bytes"), IndexError(), TypeError()]
)
def test_file_is_named_whatever_its_decoder_raises(
    audio_files: list[Path], error: Exception
) -> None:
    class Failing(AudioFiles):
        def read(self, item: Item) -> Tensor:
            if item.path.name == "3.wav":
                raise error
            return super().read(item)

    with pytest.raises(DataError, match=r"3\.wav cannot be read \(\w") as raised:
        Failing(audio_files).setup()
    assert raised.value.args[0].count("cannot be read") == 1
    if isinstance(error, KeyError):
        assert "KeyError: 'fps'" in str(raised.value)
