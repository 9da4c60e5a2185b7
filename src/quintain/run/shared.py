"""Checkpoints of a run of several ranks: rank 0 decides and writes, each rank adds its own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import torch

from quintain.contracts import Meter
from quintain.run.checkpoint import SIGNALS, Interrupted, Keeper, State
from quintain.run.ranks import Ranks
from quintain.run.together import Report, merged


class SharedKeeper:
    """What a `Keeper` is to a run of one process, for one of several ranks.

    All ranks call `due`, `leaving`, `save` and `load` at the same places. What training has changed
    is equal on all of them, and rank 0's is kept; random numbers and measurements are each rank's.

    Attributes:
        keeps: states are written; not of a model that is spread over the ranks, which starts over.
        report: what this rank has measured so far.
        about: as `Keeper.about`, of the meters of all ranks.
    """

    def __init__(self, ranks: Ranks, keeper: Keeper | None, *, keeps: bool = True) -> None:
        """`keeper`: of rank 0; None on the others, and where nobody asks the run to leave."""
        self._ranks, self._keeper, self.keeps = ranks, keeper, keeps
        self._leaving = False
        self.report: Callable[[], Report] = _nothing
        self.about: Callable[[list[Meter]], State] = lambda meters: {}

    @property
    def notes(self) -> list[str]:
        """Why checkpoints were not used; on rank 0."""
        return self._keeper.notes if self._keeper else []

    def hear(self) -> None:
        """Rank 0 hears for all; Lightning's own way with SIGTERM is a collective in a handler."""
        if self._keeper is not None:
            self._keeper.hear()
        else:
            not_my_signals(signal.SIG_IGN if self._ranks.rank else signal.SIG_DFL)

    def begin(self) -> None:
        """As `Keeper.begin`."""
        if self._keeper is not None:
            self._keeper.begin()

    def due(self) -> bool:
        """Whether rank 0 finds that it is time for a checkpoint, or was asked to leave."""
        mine = self._keeper is not None and self._keeper.due()
        asked = self._keeper is not None and self._keeper.asked
        due = self._ranks.agree(asked or (mine and self.keeps))
        self._leaving = due and self._ranks.agree(asked)
        return due

    def leaving(self) -> bool:
        """Whether rank 0 was asked to leave."""
        self._leaving = self._ranks.agree(self._keeper is not None and self._keeper.asked)
        return self._leaving

    def save(self, steps: int, state: State) -> None:
        """Write a checkpoint; raises `Interrupted` on all ranks where rank 0 was asked to leave."""
        if state and self.keeps:
            every = self._ranks.gather((state["draws"], self.report()))
            if self._keeper is not None:
                meters = merged([said for _, said in every])
                self._keeper.about = lambda: self.about(meters)
                self._keeper.keep(steps, state | {"ranks": [_own(*said) for said in every]})
        if self._leaving:
            raise Interrupted

    def load(self) -> State | None:
        """Rank 0's newest state that can be used, with what is this rank's own."""
        found = self._ranks.spread(self._keeper.load() if self._keeper else None)
        if found is None:
            return None
        own: State = found["ranks"][self._ranks.rank]
        return found | own | {"about": found["about"] | {"waited": own["waited"]}}

    def refuse(self, why: str) -> None:
        """As `Keeper.refuse`."""
        if self._keeper is not None:
            self._keeper.refuse(why)

    def remove(self) -> None:
        """As `Keeper.remove`."""
        if self._keeper is not None:
            self._keeper.remove()


def not_my_signals(handler: Any) -> None:
    """Give SIGTERM and SIGUSR2 a handler of the system; the main thread's to do."""
    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handler)


def _own(draws: State, said: Report) -> State:
    return {
        "draws": draws,
        "step_ms": torch.tensor(said.step_ms, dtype=torch.float64),
        "shared_ms": torch.tensor(said.shared_ms, dtype=torch.float64),
        "waited": said.input_seconds,
    }


def _nothing() -> Report:
    return Report(step_ms=[], shared_ms=[], input_seconds=0.0, meters={}, whole_machine=[])
