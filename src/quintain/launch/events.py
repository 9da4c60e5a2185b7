"""Events of cells while they run, the same for every executor, and the outcome of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from quintain.errors import ExitCode
from quintain.plan.cell import Cell

Ending = Literal["ok", "failed", "skipped", "unwritten", "cached", "detached", "interrupted"]
"""How a cell ended. "unwritten": the store refused the record. "detached": Slurm has the job, and
this process does not wait for it. "interrupted": the run saved its state and resumes later; the
local executor then queues the cell again and sends no "ended" event.
"""


@dataclass(frozen=True)
class Event:
    """A cell started, finished a step or ended; a note about the sweep; or a regular tick."""

    kind: Literal["started", "step", "ended", "tick", "note"]
    cell: Cell | None = None
    step: int = 0
    steps: int = 0
    ending: Ending = "ok"
    message: str = ""
    seconds: float = 0.0


class Executor(Protocol):
    """Runs cells on this machine or a cluster, each until its record is in the store."""

    def run(self, cells: Sequence[Cell], stop_requests: Callable[[], int]) -> Generator[Event]:
        """Run all cells and yield events.

        Args:
            cells: cells in the order in which they start.
            stop_requests: returns how often the user asked to stop. Above 0, no further cell is
                started and running cells are ended.

        Raises:
            UsageError: the executor cannot run anything; nothing was started.
        """
        ...


@dataclass
class SweepOutcome:
    """How the cells of a sweep ended.

    Attributes:
        endings: cell key → ending.
        failures: cell key → label and message of a cell that failed or could not be recorded.
        interrupted: whether the sweep was stopped before its end.
    """

    endings: dict[str, Ending] = field(default_factory=dict)
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    interrupted: bool = False

    def add(self, event: Event) -> None:
        """Add the ending of a cell; other events are ignored."""
        if event.kind == "ended" and event.cell is not None:
            self.endings[event.cell.key] = event.ending
            if event.ending in ("failed", "unwritten"):
                self.failures[event.cell.key] = (event.cell.label, event.message)

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        return ExitCode.FAILED if self.failures else ExitCode.OK
