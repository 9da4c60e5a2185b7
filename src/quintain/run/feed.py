"""Which samples, in which order: a pure function of seed and step, indexed by batch.

Several optimizer steps go into one Lightning step (a *chunk*), because Lightning's own cost is paid
per step: where a step takes half a millisecond it would more than double it.

A dataset that reads from disk (`streams`) is read one chunk ahead in the background. Order and
numbers are the same; `Order` is then asked by one thread at a time.
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

from quintain.contracts import Batch, Dataset, Split
from quintain.run.checkpoint import Stage
from quintain.run.ranks import ALONE, Ranks

Found = TypeVar("Found")

EVALUATION_BATCH = 256
EVALUATION_BYTES = 256 * 2**20  # of the floats of one batch: long sounds and large vocabularies get
# smaller batches
AHEAD = 128 * 2**20  # bytes of one chunk of streamed data; up to two are held


class Order:
    """Batch number → indices. Every epoch is a new permutation; every batch is full.

    Where lengths are given, `pool` batches are drawn together, sorted by length and cut anew; the
    batches then come in an order drawn by chance (as in many a speech recogniser, less padding).

    Args:
        size: number of samples.
        batch_size: indices in a batch; a batch may reach over the end of an epoch.
        seed: of the permutations.
        lengths: of the samples, long (size,); None: batches are drawn by chance alone.
        pool: batches that are sorted together.
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
        # Of more than one epoch, copies of a sample would lie side by side and share a batch.
        self._pool = max(1, min(pool, size // batch_size))

    @property
    def grouped(self) -> bool:
        """Whether lengths change the order: several batches are drawn together, and they differ."""
        lengths = self._lengths
        return lengths is not None and self._pool > 1 and bool((lengths != lengths[0]).any())

    def __call__(self, step: int) -> torch.Tensor:
        """Indices, long (B,), of the batch at `step` (from 0)."""
        if self._lengths is None:
            return self._drawn(step * self.batch_size, self.batch_size)
        pool, place = divmod(step, self._pool)
        size = self._pool * self.batch_size
        together = self._drawn(pool * size, size)
        by_length = together[self._lengths[together].argsort(stable=True)]
        turn = int(self._shuffled(self._pool, 1, pool)[place])
        return by_length[turn * self.batch_size :][: self.batch_size]

    def _drawn(self, start: int, missing: int) -> torch.Tensor:
        """So many indices of all epochs one after another, from place `start`."""
        parts = []
        while missing:
            epoch, offset = divmod(start, self._size)
            part = self._permutation(epoch)[offset : offset + missing]
            parts.append(part)
            start, missing = start + len(part), missing - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            self._epochs = {e: p for e, p in self._epochs.items() if e == epoch - 1}
            self._epochs[epoch] = self._shuffled(self._size, epoch)
        return self._epochs[epoch]

    def _shuffled(self, size: int, *names: int) -> torch.Tensor:
        """A permutation that follows from the seed and some numbers."""
        # torch's CPU generator heeds the lower 32 bits of a seed only.
        mixed = np.random.SeedSequence((self._seed, *names)).generate_state(1)
        return torch.randperm(size, generator=torch.Generator().manual_seed(int(mixed[0])))


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
    Streamed data are held to chunks of `AHEAD` bytes. Of several ranks each takes its share of
    every batch. `whole` counts all chunks of the run, the length those that are still to come.
    """

    def __init__(
        self,
        dataset: Dataset,
        order: Order,
        *,
        steps: int,
        chunk: int,
        validations: int = 1,
        ranks: Ranks = ALONE,
    ) -> None:
        self._dataset, self._order, self._ranks = dataset, order, ranks
        if _streams(dataset):
            chunk = max(1, min(chunk, AHEAD // max(1, order.batch_size * _bytes(dataset))))
        self._chunks = cut(steps, chunk, validations)
        self.whole = len(self._chunks)
        self.seconds = 0.0

    def go_on(self, done: int, stage: Stage) -> None:
        """Leave out the chunks of the first `done` steps. Where the last one's validation is to
        come, an empty chunk stands for it.

        Raises:
            ValueError: no chunk ends there.
        """
        first = sum(chunk.stop <= done for chunk in self._chunks)
        if stage == "training" and done not in (0, *(chunk.stop for chunk in self._chunks)):
            raise ValueError(f"no chunk ends at step {done}")
        rest = [] if stage == "over" else self._chunks[first:]
        self._chunks = [range(done, done), *rest] if stage == "validating" else rest

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[list[Batch]]:
        works = (partial(self._gather, steps) for steps in self._chunks)
        gathered = _taken(works, streamed=_streams(self._dataset))
        while True:
            began = time.perf_counter()
            chunk = next(gathered, None)
            self.seconds += time.perf_counter() - began
            if chunk is None:
                return
            yield chunk

    def _gather(self, steps: range) -> list[Batch]:
        shares = (self._ranks.share(self._order(step)) for step in steps)
        return [self._dataset.take("train", share) for share in shares]


class EvaluationFeed:
    """A whole split in order, each sample once, the last batch as small as it comes.

    Batches have fewer samples where so many would take over `EVALUATION_BYTES`. Several ranks share
    as many of them at a time as one rank reads; each gives equally many batches, None where it has
    no share.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        batch_size: int = EVALUATION_BATCH,
        ranks: Ranks = ALONE,
    ) -> None:
        fitting = max(1, EVALUATION_BYTES // max(1, _floats(dataset)))
        self._dataset, self._split, self._ranks = dataset, split, ranks
        self._batch = min(batch_size, fitting) * ranks.world
        self._size = dataset.size(split)

    def __len__(self) -> int:
        return -(-self._size // self._batch)

    def __iter__(self) -> Iterator[Batch | None]:
        starts = range(0, self._size, self._batch)
        works = (partial(self._gather, start) for start in starts)
        return _taken(works, streamed=_streams(self._dataset))

    def _gather(self, start: int) -> Batch | None:
        indices = self._ranks.share(torch.arange(start, min(start + self._batch, self._size)))
        return self._dataset.take(self._split, indices) if len(indices) else None


def _taken(works: Iterable[Callable[[], Found]], *, streamed: bool) -> Iterator[Found]:
    """The results in order; where `streamed`, the next one is made while this one is used.

    Each is made in a thread of its own, one after the other. A thread ends with its work: when the
    last result is handed out, or nobody asks for more, none is left but one that is finishing.
    What goes wrong in it is raised where its result is asked for.
    """
    if not streamed:
        yield from (work() for work in works)
        return
    rest = iter(works)
    upcoming = _begun(next(rest, None))
    while upcoming is not None:
        found = upcoming.result()
        upcoming = _begun(next(rest, None))
        yield found


def _begun(work: Callable[[], Found] | None) -> Future[Found] | None:
    """`work` under way in the background; None where there is none."""
    if work is None:
        return None
    reader = ThreadPoolExecutor(1, thread_name_prefix="quintain-feed")
    future = reader.submit(work)
    reader.shutdown(wait=False)
    return future


def _streams(dataset: Dataset) -> bool:
    """Whether it reads from disk (`quintain.kit.ondisk`); known after `setup`."""
    return bool(getattr(dataset, "streams", False))


def _floats(dataset: Dataset) -> int:
    """Bytes of one sample as floats, or of its logits where they are more."""
    spec = dataset.spec
    logits = spec.shape[0] * spec.vocabulary if spec.task == "next_token" else 0
    return 4 * max(math.prod(spec.shape), logits)


def _bytes(dataset: Dataset) -> int:
    """What one sample takes as `take` gives it: bytes for pixels, else four for each number."""
    spec = dataset.spec
    return math.prod(spec.shape) * (1 if spec.modality in ("image", "video") else 4)
