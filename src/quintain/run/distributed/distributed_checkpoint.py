"""Checkpoints of a run of several ranks: rank 0 decides and writes, each rank adds its state."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from quintain.run.distributed.context import DistContext
from quintain.run.preemption_signals import set_signal_handlers
from quintain.run.train.checkpoint import Checkpointer, FileCheckpointer, State


class DistributedCheckpointer(Checkpointer):
    """The checkpointer of one of several ranks.

    All ranks must call `should_save`, `is_preempted`, `save` and `load` together.

    Args:
        dist: the ranks.
        files: the checkpoints of rank 0; None on other ranks and where nothing is saved.
        writes: False for a model that is sharded over the ranks: such a run is preempted without a
            checkpoint and starts again from step 0.
    """

    def __init__(
        self, dist: DistContext, files: FileCheckpointer | None, *, writes: bool = True
    ) -> None:
        self._dist, self._files, self._writes = dist, files, writes

    @property
    def notes(self) -> Sequence[str]:
        return self._files.notes if self._files else ()

    def install_signal_handlers(self) -> None:
        """Let rank 0 handle the signals of all ranks.

        Lightning's own SIGTERM handler communicates with the other ranks, so it must be replaced.
        """
        if self._files is not None:
            self._files.install_signal_handlers()
        else:
            set_signal_handlers(signal.SIG_IGN if self._dist.rank else signal.SIG_DFL)

    def arm(self) -> None:
        if self._files is not None:
            self._files.arm()

    def should_save(self) -> bool:
        files = self._files
        is_due = files is not None and (
            files.is_preempted() or (self._writes and files.should_save())
        )
        return self._dist.broadcast_flag(is_due)

    def is_preempted(self) -> bool:
        return self._dist.broadcast_flag(self._files is not None and self._files.is_preempted())

    def save(self, steps: int, shared: State, local: State) -> None:
        if self._writes:
            ranks = self._dist.all_gather(local)
            if self._files is not None:
                self._files.save_ranks(steps, shared, ranks)

    def load(self) -> State | None:
        state = self._dist.broadcast(self._files.load_ranks() if self._files else None)
        return None if state is None else state | state["ranks"][self._dist.rank]

    def discard(self, reason: str) -> None:
        if self._files is not None:
            self._files.discard(reason)
