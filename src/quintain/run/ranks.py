"""What the processes of one run say to each other. A run of one process has nobody to ask.

Every rank must call the collectives below in the same order. They go through gloo for plain values
and CPU tensors; gradients on GPUs go through NCCL inside the strategy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed
from torch.distributed import Store  # type: ignore[attr-defined]

from quintain.kit.cluster import Place

Value = TypeVar("Value")

POLL = 0.05  # seconds
PREPARING = timedelta(days=1)  # a download may take long; a rank 0 that dies is heard at once

# Groups that have been left, kept to the end of the process. One whose last user is DDP's reducer
# is freed with the interpreter's lock held and joins its threads, while a thread that still puts
# away a gathered tensor waits for that lock: both for ever (seen with torch 2.11).
_LEFT: list[Any] = []


class Ranks:
    """The processes of a run, seen from one of them; by itself a run of one.

    Attributes:
        rank: of this process, from 0.
        world: number of processes.
        waited: seconds that this process has spent in collectives, waiting for the others included.
    """

    def __init__(
        self,
        place: Place | None = None,
        store: Store | None = None,
        limit: timedelta = PREPARING,
        check: Callable[[], None] = lambda: None,
        dismiss: Callable[[], None] = lambda: None,
    ) -> None:
        """`limit`: longest wait for another rank; `check` raises where one is gone; `dismiss` is
        called when this process needs the others no longer.
        """
        self.place, self._store = place, store
        self._limit, self._check, self._dismiss = limit, check, dismiss
        self.rank = place.rank if place else 0
        self.world = place.world if place else 1
        self.waited = 0.0

    @property
    def alone(self) -> bool:
        """One process is the whole run."""
        return self.world == 1

    def first(self, work: Callable[[], object]) -> None:
        """Let the first process of each machine do something while its others wait."""
        if self.place is None or self._store is None or self.place.local_rank == 0:
            work()
        if self.place is None or self._store is None:
            return
        done = f"prepared/{self.rank - self.place.local_rank}"
        if self.place.local_rank == 0:
            self._store.set(done, "1")
        else:
            self._store.wait([done], PREPARING)

    def connect(self, accelerator: str) -> None:
        """Wait until all ranks have prepared themselves; collectives work from here on."""
        backend = "cpu:gloo,cuda:nccl" if accelerator == "cuda" else "gloo"
        if self._store is None:
            return
        self._store.set(f"here/{self.rank}", "1")
        others = [f"here/{rank}" for rank in range(self.world)]
        while self.rank == 0 and not self._store.check(others):
            self._check()
            for rank in range(1, self.world):
                if self._store.check([f"error/{rank}"]):
                    why = self._store.get(f"error/{rank}")
                    raise RuntimeError(f"rank {rank} failed before the connection: {why!r}")
            time.sleep(POLL)
        self._store.wait(others, PREPARING)
        assert self.place is not None
        if accelerator == "cuda":
            torch.cuda.set_device(self.place.local_rank)
        distributed.init_process_group(
            backend, store=self._store, rank=self.rank, world_size=self.world, timeout=self._limit
        )

    def leave(self) -> None:
        """The end of all collectives of this process."""
        self._dismiss()
        if self._store is not None and distributed.is_initialized():
            _LEFT.append(distributed.group.WORLD)
            distributed.destroy_process_group()

    def agree(self, decision: bool) -> bool:
        """What rank 0 decides."""
        if self.alone:
            return decision
        said = torch.tensor(int(decision))
        self._timed(lambda: distributed.broadcast(said, 0))
        return bool(said.item())

    def spread(self, value: Value) -> Value:
        """Rank 0's value, which the others need not have."""
        if self.alone:
            return value
        said: list[Any] = [value if self.rank == 0 else None]
        self._timed(lambda: distributed.broadcast_object_list(said, 0))
        return cast("Value", said[0])

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, elementwise."""
        if self.alone:
            return values
        total = values.clone()
        self._timed(lambda: distributed.all_reduce(total))
        return total

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value, in the order of the ranks."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.world
        self._timed(lambda: distributed.all_gather_object(found, value))
        return cast("list[Value]", found)

    def share(self, indices: Tensor) -> Tensor:
        """This rank's part of (N,): every `world`-th, so that batches sorted by length are shared
        evenly; sizes differ by one at most.
        """
        return indices if self.alone else indices[self.rank :: self.world]

    def factors(self, weights: Sequence[int]) -> list[float]:
        """For each batch what its loss counts here, so that the *mean* of the ranks' gradients is
        the gradient of the whole batch's mean: weight · world / sum of the weights.
        """
        if self.alone:
            return [1.0] * len(weights)
        mine = torch.tensor(weights, dtype=torch.float64)
        return (mine * self.world / self.sum(mine).clamp(min=1)).tolist()

    def draw_apart(self, seed: int) -> None:
        """Give each rank random numbers of its own, for dropout and augmentation; those of rank 0
        follow from the seed as all others do.
        """
        if not self.alone:
            mixed = np.random.SeedSequence((seed, 3, self.rank)).generate_state(1)
            pl.seed_everything(int(mixed[0]), verbose=False)

    def reduce_mean(self, tensor: Tensor) -> Tensor:
        """The mean over all ranks, in place; the time is noted."""
        tensor.div_(self.world)
        self._timed(lambda: distributed.all_reduce(tensor))
        return tensor

    def _timed(self, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        self.waited += time.perf_counter() - began


ALONE = Ranks()
