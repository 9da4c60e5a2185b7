"""Which samples, in which order: a pure function of seed and step, indexed by batch.

Several optimizer steps go into one Lightning step (a *chunk*), because Lightning's own cost is paid
per step: where a step takes half a millisecond it would more than double it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np
import torch

from quintain.contracts import Batch, Dataset, Split

EVALUATION_BATCH = 256


class Order:
    """Batch number → indices. Every epoch is a new permutation; every batch is full.

    Args:
        size: number of samples.
        batch_size: indices in a batch; a batch may reach over the end of an epoch.
        seed: of the permutations.
    """

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        if size < 1:
            raise ValueError("the train split is empty")
        self._size, self._batch, self._seed = size, batch_size, seed
        self._epochs: dict[int, torch.Tensor] = {}

    def __call__(self, step: int) -> torch.Tensor:
        """Indices, long (B,), of the batch at `step` (from 0)."""
        start, parts, missing = step * self._batch, [], self._batch
        while missing:
            epoch, offset = divmod(start, self._size)
            part = self._permutation(epoch)[offset : offset + missing]
            parts.append(part)
            start, missing = start + len(part), missing - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            self._epochs = {e: p for e, p in self._epochs.items() if e == epoch - 1}
            # torch's CPU generator heeds the lower 32 bits of a seed only.
            mixed = np.random.SeedSequence((self._seed, epoch)).generate_state(1)
            generator = torch.Generator().manual_seed(int(mixed[0]))
            self._epochs[epoch] = torch.randperm(self._size, generator=generator)
        return self._epochs[epoch]


def cut(steps: int, chunk: int, validations: int) -> list[range]:
    """Steps 0 … steps - 1 in chunks of about `chunk`, as many chunks before each validation.

    Lightning validates every so many of *its* steps, so equal numbers of chunks, not chunks of
    equal size, spread validations evenly and put the last one at the end.
    """
    stretches = min(validations, steps)
    shortest, longest = steps // stretches, -(-steps // stretches)
    return _split(range(steps), stretches * min(shortest, -(-longest // chunk)))


def _split(whole: range, parts: int) -> list[range]:
    cuts = [len(whole) * part // parts for part in range(parts + 1)]
    return [whole[a:b] for a, b in itertools.pairwise(cuts)]


class TrainFeed:
    """Chunks of training batches; `seconds` is how long training waited for them.

    A chunk is gathered before its first step: between two steps the samples and the code that
    gathers them have left the cache, and digits waited 2.3 % of their training instead of 1 %.
    """

    def __init__(
        self, dataset: Dataset, order: Order, *, steps: int, chunk: int, validations: int = 1
    ) -> None:
        self._dataset, self._order = dataset, order
        self._chunks = cut(steps, chunk, validations)
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[list[Batch]]:
        for steps in self._chunks:
            began = time.perf_counter()
            chunk = [self._dataset.take("train", self._order(step)) for step in steps]
            self.seconds += time.perf_counter() - began
            yield chunk


class EvaluationFeed:
    """A whole split in order, each sample once, the last batch as small as it comes."""

    def __init__(self, dataset: Dataset, split: Split, batch_size: int = EVALUATION_BATCH) -> None:
        self._dataset, self._split, self._batch = dataset, split, batch_size
        self._size = dataset.size(split)

    def __len__(self) -> int:
        return -(-self._size // self._batch)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self._size, self._batch):
            indices = torch.arange(start, min(start + self._batch, self._size))
            yield self._dataset.take(self._split, indices)
