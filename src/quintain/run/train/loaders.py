"""Loads the batches of training and evaluation; their order follows from seed and step alone.

One Lightning step takes a *chunk*, which is several optimizer steps. Lightning's overhead is paid
once per Lightning step, and would more than double the time of an optimizer step of half a
millisecond (docs/decisions/0002-chunks.md).

A dataset that reads from disk (`streams`) is read one chunk ahead in a background thread. Order and
values are the same as without the thread.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from quintain.contracts import Batch, Dataset, OptionalDatasetAttributes, Split
from quintain.run.distributed.context import SINGLE_PROCESS, DistContext
from quintain.run.train.checkpoint import Stage

Result = TypeVar("Result")

EVALUATION_BATCH = 256  # samples
EVALUATION_BYTES = 256 * 2**20
"""Largest size of an evaluation batch as floats; it limits batches of long recordings, and of
logits over a large vocabulary."""
PREFETCH_BYTES = 128 * 2**20  # largest chunk of streamed data; up to two chunks are in memory


class BatchOrder:
    """Maps a step to the indices of its batch.

    Every epoch is a new random permutation, and every batch is full: it may continue into the next
    epoch. With `lengths`, batches are bucketed by length to reduce padding: the samples of `pool`
    consecutive batches are sorted by length and divided again, and these batches are shuffled. No
    such batch has a sample twice, unless it is larger than an epoch.

    One thread at a time may call it.

    Args:
        size: number of samples.
        batch_size: samples of a batch.
        seed: of the permutations.
        lengths: of the samples, long (size,); None: batches are not bucketed.
        pool: number of batches whose samples are sorted together.

    Raises:
        ValueError: there are no samples.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        lengths: torch.Tensor | None = None,
        pool: int = 1,
    ) -> None:
        if size < 1:
            raise ValueError("the train split is empty")
        self._size, self.batch_size, self._seed = size, batch_size, seed
        self._epochs: dict[int, torch.Tensor] = {}
        self._lengths = lengths
        # A larger pool than an epoch could put copies of a sample into one batch.
        self._pool = max(1, min(pool, size // batch_size))

    @property
    def is_grouped(self) -> bool:
        """Whether lengths change the order: a pool has several batches, and lengths differ."""
        lengths = self._lengths
        return lengths is not None and self._pool > 1 and bool((lengths != lengths[0]).any())

    def __call__(self, step: int) -> torch.Tensor:
        """Return the indices, long (B,), of the batch at `step` (from 0)."""
        if self._lengths is None:
            return self._draw(step * self.batch_size, self.batch_size)
        pool, position = divmod(step, self._pool)
        batch = int(self._permute(self._pool, 1, pool)[position])
        return self._sort_pool(pool)[batch * self.batch_size :][: self.batch_size]

    def _sort_pool(self, pool: int) -> torch.Tensor:
        """Return the samples of a pool, sorted by length and cut into batches by the caller.

        A pool that ends in the next epoch may have copies of a sample, one in each epoch. Its two
        parts are therefore sorted by themselves, and the batch with samples of both gets only
        samples that it does not have yet.
        """
        start, size = pool * self._pool * self.batch_size, self._pool * self.batch_size
        left_in_epoch = self._size - start % self._size
        if self._pool == 1 or left_in_epoch >= size:
            return self._sort_by_length(self._draw(start, size))
        first = self._sort_by_length(self._draw(start, left_in_epoch))
        second = self._sort_by_length(self._draw(start + left_in_epoch, size - left_in_epoch))
        count = len(first) % self.batch_size  # samples of the first part in the shared batch
        if not count:
            return torch.cat([first, second])
        rest = self.batch_size - count
        if len(first) >= len(second):
            of_second = second[-rest:]
            of_first = _without(first, of_second)[-count:]
        else:
            of_first = first[-count:]
            of_second = _without(second, of_first)[-rest:]
        return torch.cat(
            [_without(first, of_first), of_first, of_second, _without(second, of_second)]
        )

    def _sort_by_length(self, indices: torch.Tensor) -> torch.Tensor:
        assert self._lengths is not None
        return indices[self._lengths[indices].argsort(stable=True)]

    def _draw(self, start: int, count: int) -> torch.Tensor:
        """Return `count` indices from position `start` of the concatenated epochs."""
        parts = []
        while count:
            epoch, offset = divmod(start, self._size)
            part = self._permute_epoch(epoch)[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _permute_epoch(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            self._epochs = {e: p for e, p in self._epochs.items() if e == epoch - 1}
            self._epochs[epoch] = self._permute(self._size, epoch)
        return self._epochs[epoch]

    def _permute(self, size: int, *counters: int) -> torch.Tensor:
        """Return a permutation of 0 … size - 1 that the seed and the counters determine."""
        # torch's CPU generator uses only the lower 32 bits of a seed, so the numbers are hashed.
        hashed = np.random.SeedSequence((self._seed, *counters)).generate_state(1)
        return torch.randperm(size, generator=torch.Generator().manual_seed(int(hashed[0])))


def _without(indices: torch.Tensor, excluded: torch.Tensor) -> torch.Tensor:
    return indices[~torch.isin(indices, excluded)]


def split_steps(steps: int, chunk: int, validations: int) -> list[range]:
    """Split steps 0 … steps - 1 into chunks of about `chunk` steps.

    Each validation follows the same number of chunks, because Lightning counts its own steps, which
    are chunks, between validations. So validations are evenly distributed, the last at the end.
    """
    intervals = min(validations, steps)
    shortest, longest = steps // intervals, math.ceil(steps / intervals)
    count = intervals * min(shortest, math.ceil(longest / chunk))
    ends = [steps * part // count for part in range(count + 1)]
    return [range(a, b) for a, b in itertools.pairwise(ends)]


class TrainLoader:
    """Yields chunks of training batches, of which each rank gets its share.

    All batches of a chunk are gathered before its first step, because gathering and training in
    turns would evict each other's code and data from the CPU cache. Streamed data are limited to
    chunks of `PREFETCH_BYTES`.

    Args:
        dataset: after `setup`.
        order: indices of each step's batch.
        steps: optimizer steps of the whole run.
        chunk: approximate number of steps of a chunk.
        validations: number of validations of the whole run.
        dist: the ranks that share each batch.
        steps_done: steps that a resumed run took earlier; their chunks are left out.
        stage: what a resumed run does next; for "validating" the first chunk is empty.
        wait_seconds: seconds that a resumed run waited for data earlier.

    Attributes:
        total_chunks: chunks of the whole run; `len()` counts the remaining ones.
        wait_seconds: seconds that training has waited for data.

    Raises:
        ValueError: no chunk ends at `steps_done`.
    """

    def __init__(
        self,
        dataset: Dataset,
        order: BatchOrder,
        *,
        steps: int,
        chunk: int,
        validations: int = 1,
        dist: DistContext = SINGLE_PROCESS,
        steps_done: int = 0,
        stage: Stage = "training",
        wait_seconds: float = 0.0,
    ) -> None:
        self._dataset, self._order, self._dist = dataset, order, dist
        if _is_streamed(dataset):
            batch_bytes = order.batch_size * _count_sample_bytes(dataset)
            chunk = max(1, min(chunk, PREFETCH_BYTES // max(1, batch_bytes)))
        chunks = split_steps(steps, chunk, validations)
        self.total_chunks, self.wait_seconds = len(chunks), wait_seconds
        if stage == "training" and steps_done not in (0, *(part.stop for part in chunks)):
            raise ValueError(f"no chunk ends at step {steps_done}")
        remaining = [part for part in chunks if part.stop > steps_done and stage != "over"]
        pending_validation = [range(steps_done, steps_done)] if stage == "validating" else []
        self._chunks = pending_validation + remaining

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[list[Batch]]:
        tasks = (partial(self._gather, steps) for steps in self._chunks)
        chunks = _run_in_order(tasks, prefetch=_is_streamed(self._dataset))
        while True:
            start = time.perf_counter()
            chunk = next(chunks, None)
            self.wait_seconds += time.perf_counter() - start
            if chunk is None:
                return
            yield chunk

    def _gather(self, steps: range) -> list[Batch]:
        shares = (self._dist.select_share(self._order(step)) for step in steps)
        return [self._dataset.batch("train", share) for share in shares]


class EvalLoader:
    """Yields a whole split in order, each sample once; the last batch may be smaller.

    Batches have fewer samples where they would exceed `EVALUATION_BYTES`. Each of several ranks
    yields the same number of batches, and None where it has no share of a batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        batch_size: int = EVALUATION_BATCH,
        dist: DistContext = SINGLE_PROCESS,
    ) -> None:
        limit = max(1, EVALUATION_BYTES // max(1, _count_float_bytes(dataset)))
        self._dataset, self._split, self._dist = dataset, split, dist
        self._batch_size = min(batch_size, limit) * dist.world_size
        self._size = dataset.size(split)

    def __len__(self) -> int:
        return math.ceil(self._size / self._batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        tasks = (partial(self._gather, s) for s in range(0, self._size, self._batch_size))
        return _run_in_order(tasks, prefetch=_is_streamed(self._dataset))

    def _gather(self, start: int) -> Batch | None:
        batch = torch.arange(start, min(start + self._batch_size, self._size))
        indices = self._dist.select_share(batch)
        return self._dataset.batch(self._split, indices) if len(indices) else None


def _run_in_order(tasks: Iterable[Callable[[], Result]], *, prefetch: bool) -> Iterator[Result]:
    """Call the tasks and yield their results in order.

    With `prefetch` the next task runs while a result is in use. Each task runs in its own thread,
    one at a time, so no thread outlives the iteration. An exception of a task is raised where its
    result is requested.
    """
    if not prefetch:
        yield from (task() for task in tasks)
        return
    remaining = iter(tasks)

    def start_next() -> Future[Result] | None:
        if (task := next(remaining, None)) is None:
            return None
        executor = ThreadPoolExecutor(1, thread_name_prefix="quintain-loader")
        future = executor.submit(task)
        executor.shutdown(wait=False)
        return future

    future = start_next()
    while future is not None:
        result = future.result()
        future = start_next()
        yield result


def _is_streamed(dataset: Dataset) -> bool:
    """Whether the dataset reads from disk (`quintain.data.on_disk`); known after `setup`."""
    return bool(getattr(dataset, "streams", OptionalDatasetAttributes.streams))


def _count_float_bytes(dataset: Dataset) -> int:
    """Return the bytes of a sample or of its logits as floats, whichever is larger."""
    spec = dataset.spec
    logits = spec.shape[0] * spec.vocabulary if spec.task == "next_token" else 0
    return 4 * max(math.prod(spec.shape), logits)


def _count_sample_bytes(dataset: Dataset) -> int:
    """Return the bytes of a sample as `batch` returns it: pixels are uint8, other values float."""
    spec = dataset.spec
    return math.prod(spec.shape) * (1 if spec.modality in ("image", "video") else 4)
