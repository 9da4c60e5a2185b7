"""Which samples come, and in which order."""

from __future__ import annotations

import itertools

import pytest
import torch
from helpers.cell_factory import load_points
from hypothesis import given, settings
from hypothesis import strategies as st

from quintain.run.train.loaders import BatchOrder, EvalLoader, TrainLoader, split_steps

SIZES = st.integers(1, 40)


@settings(deadline=None, max_examples=50)
@given(size=SIZES, batch=st.integers(1, 60), seed=st.integers(0, 2**31 - 1))
def test_every_epoch_is_a_permutation_and_every_batch_is_full(size, batch, seed):
    order = BatchOrder(size, batch, seed)
    steps = -(-3 * size // batch)
    batches = [order(step) for step in range(steps)]
    assert all(len(indices) == batch for indices in batches)
    flat = torch.cat(batches)
    for epoch in range(3):
        part = flat[epoch * size : (epoch + 1) * size]
        assert sorted(part.tolist()) == list(range(size))


@settings(deadline=None, max_examples=50)
@given(size=SIZES, batch=st.integers(1, 12), seed=st.integers(0, 2**31 - 1), pool=SIZES)
def test_grouped_batches_hold_the_same_samples(size, batch, seed, pool):
    lengths = torch.randint(1, 9, (size,), generator=torch.Generator().manual_seed(seed))
    plain, grouped = BatchOrder(size, batch, seed), BatchOrder(size, batch, seed, lengths, pool)
    pool = max(1, min(pool, size // batch))
    for first in (0, 3 * pool):
        steps = range(first, first + pool)
        expected = sorted(torch.cat([plain(step) for step in steps]).tolist())
        batches = [grouped(step) for step in steps]
        assert sorted(torch.cat(batches).tolist()) == expected
        spans = sorted((int(lengths[i].min()), int(lengths[i].max())) for i in batches)
        in_one_epoch = first * batch % size + pool * batch <= size
        if in_one_epoch or pool == 1:
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))  # no two overlap
        else:
            assert all(len(indices.unique()) == batch for indices in batches)


def test_no_grouped_batch_has_a_sample_twice_where_a_pool_ends_in_the_next_epoch():
    lengths = torch.arange(100) // 2  # sorted by length, the copies of a sample are neighbours
    order = BatchOrder(100, 8, seed=1, lengths=lengths, pool=10)
    batches = [order(step) for step in range(50)]  # 4 epochs
    assert [len(batch.unique()) for batch in batches] == [8] * 50
    assert torch.cat(batches).bincount().tolist() == [4] * 100
    spans = [int(lengths[batch].max() - lengths[batch].min()) for batch in batches]
    assert sum(spans) / len(spans) < 9  # 44 without grouping


def test_a_pool_is_no_larger_than_an_epoch():
    order = BatchOrder(64, 32, 1, torch.arange(64), 10)
    assert all(len(order(step).unique()) == 32 for step in range(20))


def test_grouped_batches_come_in_random_order():
    lengths = torch.arange(64)
    order = BatchOrder(64, 4, 1, lengths, 16)
    ranks = [[int(order(16 * pool + k).min()) // 4 for k in range(16)] for pool in range(3)]
    assert all(sorted(pool) == list(range(16)) for pool in ranks)
    assert len({tuple(pool) for pool in ranks}) == 3 and ranks[0] != sorted(ranks[0])


def test_the_order_is_a_function_of_seed_and_step_alone():
    order = BatchOrder(10, 4, seed=7)
    forwards = [order(step).tolist() for step in range(20)]
    backwards = [BatchOrder(10, 4, seed=7)(step).tolist() for step in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert order(3).tolist() == forwards[3]  # after later epochs
    assert forwards != [BatchOrder(10, 4, seed=8)(step).tolist() for step in range(20)]


def test_epochs_differ():
    order = BatchOrder(50, 50, seed=0)
    assert order(0).tolist() != order(1).tolist()


def test_the_global_generator_is_not_used():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    BatchOrder(10, 4, seed=7)(5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_largest_seed_is_accepted():
    assert sorted(BatchOrder(5, 5, seed=2**31 - 1)(10**6).tolist()) == list(range(5))


def test_an_empty_train_split_is_refused():
    with pytest.raises(ValueError, match="the train split is empty"):
        BatchOrder(0, 4, seed=1)


def test_one_sample_fills_every_batch():
    assert BatchOrder(1, 3, seed=1)(2).tolist() == [0, 0, 0]


@settings(deadline=None)
@given(steps=st.integers(1, 400), chunk=st.integers(1, 25), validations=st.integers(1, 500))
def test_chunks_cover_all_steps_and_end_at_validations(steps, chunk, validations):
    chunks = split_steps(steps, chunk, validations)
    assert list(itertools.chain(*chunks)) == list(range(steps))
    assert all(chunks)  # none is empty
    intervals = min(validations, steps)
    every, rest = divmod(len(chunks), intervals)
    assert rest == 0
    ends = [chunks[(i + 1) * every - 1][-1] + 1 for i in range(intervals)]
    assert ends == [steps * (i + 1) // intervals for i in range(intervals)]
    if steps // intervals >= -(-steps // intervals // chunk):
        assert max(map(len, chunks)) <= max(chunk, 2)


def test_the_quick_budget_has_chunks_of_twenty_steps():
    assert [len(c) for c in split_steps(300, 20, 5)] == [20] * 15


def test_the_train_loader_follows_the_order_and_counts_its_time():
    data = load_points()
    order = BatchOrder(50, 8, seed=1)
    loader = TrainLoader(data, order, steps=7, chunk=3)
    batches = list(itertools.chain(*loader))
    assert len(list(loader)) == len(loader) == 3
    assert [b.x.tolist() for b in batches] == [
        data._splits["train"].x[order(step)].tolist() for step in range(7)
    ]
    assert loader.wait_seconds > 0
    assert data.indices_read["val"] == data.indices_read["test"] == []


@pytest.mark.parametrize(("size", "batches"), [(13, [5, 5, 3]), (10, [5, 5]), (1, [1]), (4, [4])])
def test_evaluation_reads_each_sample_once_in_order(size, batches):
    data = load_points((3, size, 3))
    loader = EvalLoader(data, "val", batch_size=5)
    assert [len(batch.x) for batch in loader] == batches
    assert len(loader) == len(batches)
    assert data.indices_read["val"] == list(range(size))


def test_evaluation_batches_of_large_samples_are_small():
    from types import SimpleNamespace

    from quintain.contracts import DataSpec

    long = DataSpec(name="l", modality="speech", task="transcribe", shape=(2**22,), sample_rate=1)
    words = DataSpec(name="w", modality="text", task="next_token", shape=(64,), vocabulary=2**16)
    small = DataSpec(name="s", modality="series", task="classify", shape=(8, 1))
    sizes = [
        len(EvalLoader(SimpleNamespace(spec=spec, size=lambda split: 256), "val"))
        for spec in (long, words, small)
    ]
    assert sizes == [16, 16, 1]
