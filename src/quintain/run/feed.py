"""Which samples, in which order: a pure function of seed and step, indexed by batch.

Several optimizer steps go into one Lightning step (a *chunk*), because Lightning's own cost is paid
per step: where a step takes half a millisecond it would more than double it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

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
            generator = torch.Generator().manual_seed((self._seed << 32) + epoch)
            self._epochs[epoch] = torch.randperm(self._size, generator=generator)
        return self._epochs[epoch]


class TrainFeed:
    """Chunks of training batches; `seconds` is how long training waited for them."""

    def __init__(self, dataset: Dataset, order: Order, *, steps: int, chunk: int) -> None:
        self._dataset, self._order = dataset, order
        self._steps, self._chunk = steps, chunk
        self.seconds = 0.0

    def __len__(self) -> int:
        return -(-self._steps // self._chunk)

    def __iter__(self) -> Iterator[list[Batch]]:
        for first in range(0, self._steps, self._chunk):
            began = time.perf_counter()
            last = min(first + self._chunk, self._steps)
            chunk = [self._dataset.take("train", self._order(step)) for step in range(first, last)]
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
