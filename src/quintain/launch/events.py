"""What happens to cells while they run, in one language for every executor."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from quintain.compose.cells import Cell

Ending = Literal["ok", "failed", "skipped", "unwritten", "cached", "left", "interrupted"]
"""How a cell ended; "left": a scheduler has it, and nobody here waits for it.
"interrupted": it was asked to leave and goes on later; no event says so."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a cell: started, a step was reported, or it ended.

    A "note" is a sentence about the whole sweep; a "tick" says that time has passed.
    """

    kind: Literal["started", "step", "ended", "tick", "note"]
    cell: Cell | None = None
    step: int = 0
    steps: int = 0
    ending: Ending = "ok"
    sentence: str = ""
    seconds: float = 0.0


class Executor(Protocol):
    """Runs cells somewhere. Each ends with a record in the store."""

    def run(self, cells: Sequence[Cell], stopped: Callable[[], int]) -> Generator[Event]:
        """Run all cells, yielding what happens; ends early, running cells ended, if `stopped`.

        Raises:
            UsageError: nothing can be run there; nothing was.
        """
        ...
