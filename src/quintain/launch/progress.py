"""Show the progress of a sweep: a live grid on a terminal, else a line for each cell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quintain.errors import printable
from quintain.launch.events import Event
from quintain.plan.cell import Cell
from quintain.plan.plan import PlannedCell

MESSAGE_LENGTH = 160  # characters of a message that are printed
QUIET_SECONDS = 60.0  # without output, after which a line about the running cells is printed


@contextmanager
def create_view(
    console: Console, cells: Sequence[PlannedCell], workers: int
) -> Iterator[LiveGrid | LogLines]:
    """Yield a view whose `show` takes events: a live grid on a terminal, else lines."""
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield LiveGrid(live, cells, workers)
    else:
        yield LogLines(console, cells)


class LogLines:
    """Prints a line for each ended cell, and about running cells after a minute without output."""

    def __init__(self, console: Console, cells: Sequence[PlannedCell]) -> None:
        self._console = console
        self._total = sum(planned.action == "run" for planned in cells)
        self._done = 0
        self._last_line = time.monotonic()
        self._running: dict[str, _RunningCell] = {}

    def show(self, event: Event) -> None:
        """Print a line for a note or an ended cell; remember the progress of running cells."""
        if event.kind == "note":
            self._print(event.message)
        if event.cell is None:
            if self._running and time.monotonic() - self._last_line >= QUIET_SECONDS:
                self._print(f"running: {', '.join(map(str, self._running.values()))}")
            return
        key = event.cell.key
        if event.kind == "started":
            self._running[key] = _RunningCell(event.cell.label, time.monotonic())
        elif event.kind == "step" and key in self._running:
            self._running[key].share = event.step / event.steps
        elif event.kind == "ended":
            self._running.pop(key, None)
            self._done += 1
            line = f"[{self._done}/{self._total}] {event.ending:<8} {event.cell.label}"
            line += f"  {event.seconds:.1f} s" if event.seconds else ""
            line += f"  {event.message.splitlines()[0][:MESSAGE_LENGTH]}" if event.message else ""
            self._print(line)

    def _print(self, line: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(Text(printable(line)), soft_wrap=True)


@dataclass
class _RunningCell:
    """A running cell, its start time and the fraction of its steps that is done."""

    label: str
    start_time: float
    share: float = 0.0

    def __str__(self) -> str:
        return f"{self.label} {self.share:.0%} after {time.monotonic() - self.start_time:.0f} s"


class LiveGrid:
    """A live table of datasets with settings (rows) and models (columns); seeds share a cell."""

    def __init__(self, live: Live, cells: Sequence[PlannedCell], workers: int) -> None:
        self._live, self._state = live, GridState(cells, workers)

    def show(self, event: Event) -> None:
        """Update the table; notes are printed above it."""
        if event.kind == "note":
            self._live.console.print(Text(printable(event.message), style="dim"), soft_wrap=True)
        self._state.update(event)
        self._live.update(self._state.render())


def _row_name(cell: Cell) -> str:
    return f"{cell.names['dataset']} {cell.variant}".rstrip()


class GridState:
    """The content of the grid, separate from the terminal so that it can be tested."""

    def __init__(self, cells: Sequence[PlannedCell], workers: int) -> None:
        self._workers = workers
        self._start_time = time.monotonic()
        self._states: dict[str, str] = {planned.cell.key: planned.action for planned in cells}
        self._cells = {planned.cell.key: planned.cell for planned in cells}
        self._positions: dict[tuple[str, str], list[str]] = {}
        for key, cell in self._cells.items():
            self._positions.setdefault((_row_name(cell), cell.names["model"]), []).append(key)
        self._shares: dict[str, float] = {}
        self._seconds: list[float] = []
        self._failures: list[str] = []

    def update(self, event: Event) -> None:
        """Update the state by an event of a cell; other events are ignored."""
        if event.cell is None:
            return
        key = event.cell.key
        if event.kind == "started":
            self._shares[key] = 0.0
        elif event.kind == "step":
            self._shares[key] = event.step / event.steps
        elif event.kind == "ended":
            self._shares.pop(key, None)
            self._states[key] = event.ending
            if event.ending != "cached":
                self._seconds.append(event.seconds)
            if event.message and event.ending != "ok":
                self._failures.append(f"{event.cell.label} {event.ending}: {event.message}")

    def render(self) -> RenderableType:
        """Return the table, the counts with an estimate, and the last failures."""
        models = list(dict.fromkeys(cell.names["model"] for cell in self._cells.values()))
        table = Table(box=None, pad_edge=False)
        table.add_column("")
        for model in models:
            table.add_column(escape(model), justify="center")
        for row in dict.fromkeys(map(_row_name, self._cells.values())):
            table.add_row(escape(row), *(self._format_position(row, model) for model in models))
        failures = [
            Text(printable(line), style="red", overflow="ellipsis") for line in self._failures[-3:]
        ]
        return Group(table, Text(self.summary()), *failures)

    def summary(self) -> str:
        """Return the counts, and the remaining time if cells take as long as before."""
        waiting = sum(state == "run" for state in self._states.values()) - len(self._shares)
        ended = [state for state in self._states.values() if state != "run"]
        failed = sum(state in ("failed", "unwritten") for state in ended)
        text = (
            f"{len(ended)} of {len(self._states)} cells done"
            f" ({ended.count('cached')} from the store), {len(self._shares)} running"
        )
        text += f", {failed} failed" if failed else ""
        text += f"; {time.monotonic() - self._start_time:.0f} s so far"
        if self._seconds and (waiting or self._shares):
            mean = sum(self._seconds) / len(self._seconds)
            remaining = waiting + sum(1 - share for share in self._shares.values())
            text += f", about {mean * remaining / self._workers:.0f} s left"
        return text

    def _format_position(self, row: str, model: str) -> Text:
        keys = self._positions.get((row, model), [])
        if not keys:
            return Text("")
        shares = [self._shares[key] for key in keys if key in self._shares]
        states = [self._states[key] for key in keys]
        if any(state in ("failed", "unwritten") for state in states):
            return Text("✗", style="red")
        if shares:
            return Text(f"{shares[0]:.0%}", style="yellow")
        done = sum(state != "run" for state in states)
        if done == len(keys):
            return Text("–" if "skipped" in states else "✓", style="green")
        return Text(f"{done}/{len(keys)}" if len(keys) > 1 else "·", style="dim")
