"""The ranks (processes) of one run and their collective operations.

Every rank must call the collectives in the same order. They exchange plain values and CPU tensors
with gloo; inside the Lightning strategy NCCL reduces gradients on GPUs.
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

from quintain.contracts import RankPlacement

Value = TypeVar("Value")

POLL_SECONDS = 0.05
PREPARE_TIMEOUT = timedelta(days=1)  # a download may take long; a failing rank is noticed earlier

# Destroyed process groups are referenced until the process ends. Otherwise DDP's reducer, the last
# user of a group, joins threads while it holds the GIL, and a thread that frees a gathered tensor
# waits for the GIL: a deadlock (torch 2.11).
_DESTROYED_GROUPS: list[Any] = []


class DistContext:
    """The ranks of a run as one of them sees them; without arguments a run of one process.

    Args:
        placement: rank and address of this process.
        store: key-value store through which the ranks find each other.
        timeout: longest wait for another rank in a collective.
        check: raises RankFailed if another rank has ended.
        on_destroy: called when this process does not need the others any more.

    Attributes:
        rank: rank of this process, from 0.
        world_size: number of processes.
        collective_seconds: seconds that this process has spent in collectives.
    """

    def __init__(
        self,
        placement: RankPlacement | None = None,
        store: Store | None = None,
        timeout: timedelta = PREPARE_TIMEOUT,
        check: Callable[[], None] = lambda: None,
        on_destroy: Callable[[], None] = lambda: None,
    ) -> None:
        self.placement, self._store = placement, store
        self._timeout, self._check, self._on_destroy = timeout, check, on_destroy
        self.rank = placement.rank if placement else 0
        self.world_size = placement.world_size if placement else 1
        self.collective_seconds = 0.0

    @property
    def is_single(self) -> bool:
        """Whether the run has one process."""
        return self.world_size == 1

    def run_once_per_machine(self, work: Callable[[], object]) -> None:
        """Call `work` in the first process of each machine while its other processes wait."""
        if self.placement is None or self._store is None:
            work()
            return
        done = f"prepared/{self.rank - self.placement.local_rank}"
        if self.placement.local_rank == 0:
            work()
            self._store.set(done, "1")
        else:
            self._store.wait([done], PREPARE_TIMEOUT)

    def connect(self, accelerator: str) -> None:
        """Wait until all ranks have loaded their data, and enable collectives.

        Raises:
            RankFailed: another rank has ended in the meantime.
            RuntimeError: another rank has reported an error in the meantime.
        """
        if self._store is None:
            return
        self._store.set(f"ready/{self.rank}", "1")
        ready = [f"ready/{rank}" for rank in range(self.world_size)]
        while self.rank == 0 and not self._store.check(ready):
            self._check()
            for rank in range(1, self.world_size):
                if self._store.check([f"error/{rank}"]):
                    error = self._store.get(f"error/{rank}")
                    raise RuntimeError(f"rank {rank} failed before the connection: {error!r}")
            time.sleep(POLL_SECONDS)
        self._store.wait(ready, PREPARE_TIMEOUT)
        assert self.placement is not None
        if accelerator == "cuda":
            torch.cuda.set_device(self.placement.local_rank)
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if accelerator == "cuda" else "gloo",
            store=self._store,
            rank=self.rank,
            world_size=self.world_size,
            timeout=self._timeout,
        )

    def destroy(self) -> None:
        """End the collectives of this process; further calls do nothing."""
        self._on_destroy()
        if self._store is not None and distributed.is_initialized():
            _DESTROYED_GROUPS.append(distributed.group.WORLD)
            distributed.destroy_process_group()

    def broadcast_flag(self, flag: bool) -> bool:
        """Return the flag of rank 0."""
        if self.is_single:
            return flag
        tensor = torch.tensor(int(flag))
        self._time(lambda: distributed.broadcast(tensor, 0))
        return bool(tensor.item())

    def broadcast(self, value: Value) -> Value:
        """Return the value of rank 0; values of other ranks are ignored."""
        if self.is_single:
            return value
        values: list[Any] = [value if self.rank == 0 else None]
        self._time(lambda: distributed.broadcast_object_list(values, 0))
        return cast("Value", values[0])

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks, elementwise."""
        if self.is_single:
            return values
        total = values.clone()
        self._time(lambda: distributed.all_reduce(total))
        return total

    def all_gather(self, value: Value) -> list[Value]:
        """Return the value of every rank, in the order of the ranks."""
        if self.is_single:
            return [value]
        values: list[Any] = [None] * self.world_size
        self._time(lambda: distributed.all_gather_object(values, value))
        return cast("list[Value]", values)

    def select_share(self, indices: Tensor) -> Tensor:
        """Return every `world_size`-th index of (N,), so that sorted lengths divide evenly."""
        return indices if self.is_single else indices[self.rank :: self.world_size]

    def loss_weights(self, num_targets: Sequence[int]) -> list[float]:
        """Return the factor of this rank's loss for each batch, from its number of targets.

        With the factor num_targets · world_size / (num_targets summed over ranks), the mean of the
        ranks' gradients, which DDP computes, is the gradient of the whole batch's mean loss.
        """
        counts = torch.tensor(num_targets, dtype=torch.float64)
        return (counts * self.world_size / self.sum(counts).clamp(min=1)).tolist()

    def seed_per_rank(self, seed: int) -> None:
        """Seed each of several ranks differently, for dropout and augmentation."""
        if not self.is_single:
            hashed = np.random.SeedSequence((seed, 3, self.rank)).generate_state(1)
            pl.seed_everything(int(hashed[0]), verbose=False)

    def reduce_mean(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its mean over all ranks, in place."""
        tensor.div_(self.world_size)
        self._time(lambda: distributed.all_reduce(tensor))
        return tensor

    def _time(self, collective: Callable[[], object]) -> None:
        start = time.perf_counter()
        collective()
        self.collective_seconds += time.perf_counter() - start


SINGLE_PROCESS = DistContext()
