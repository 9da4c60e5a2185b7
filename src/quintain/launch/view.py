"""What a person sees while a sweep runs: the grid filling in, or a line a cell where piped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quintain.compose.plan import Planned
from quintain.launch.events import Event

SENTENCE = 160  # characters of a failure in its line; all of it comes at the end
QUIET = 60.0  # seconds after which a log is told what still runs


class View(Protocol):
    """Shows a sweep's events."""

    def __enter__(self) -> View: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

    def show(self, event: Event) -> None: ...


def make_view(console: Console, cells: Sequence[Planned], workers: int) -> View:
    """The live grid on a terminal, plain lines elsewhere."""
    if console.is_terminal and not console.is_dumb_terminal:
        return Grid(console, cells, workers)
    return Lines(console, cells)


class Lines:
    """One line for each cell that ends: for logs and pipes.

    Where nothing was said for a minute, a line names the cells that run.
    """

    def __init__(self, console: Console, cells: Sequence[Planned]) -> None:
        self._console = console
        self._total = sum(planned.action == "run" for planned in cells)
        self._done = 0
        self._said = time.monotonic()
        self._running: dict[str, _Runs] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: Event) -> None:
        if event.kind == "note":
            self._say(event.sentence)
        if event.cell is None:
            if self._running and time.monotonic() - self._said >= QUIET:
                self._say(f"running: {', '.join(map(str, self._running.values()))}")
            return
        if event.kind == "started":
            self._running[event.cell.key] = _Runs(event.cell.label, time.monotonic())
        elif event.kind == "step" and event.cell.key in self._running:
            self._running[event.cell.key].share = event.step / event.steps
        elif event.kind == "ended":
            self._running.pop(event.cell.key, None)
            self._ended(event, event.cell.label)

    def _ended(self, event: Event, label: str) -> None:
        self._done += 1
        words = f"[{self._done}/{self._total}] {event.ending:<8} {label}"
        words += f"  {event.seconds:.1f} s" if event.seconds else ""
        words += f"  {event.sentence.splitlines()[0][:SENTENCE]}" if event.sentence else ""
        self._say(words)

    def _say(self, words: str) -> None:
        self._said = time.monotonic()
        self._console.print(Text(words), soft_wrap=True)


@dataclass
class _Runs:
    """A cell that runs; the share of its steps that it has done."""

    label: str
    began: float
    share: float = 0.0

    def __str__(self) -> str:
        return f"{self.label} {self.share:.0%} after {time.monotonic() - self.began:.0f} s"


class Grid:
    """Rows are datasets, columns are models; a cell with several seeds counts them."""

    def __init__(self, console: Console, cells: Sequence[Planned], workers: int) -> None:
        self._state = GridState(cells, workers)
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Grid:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, tb)

    def show(self, event: Event) -> None:
        if event.kind == "note":
            self._live.console.print(Text(event.sentence, style="dim"), soft_wrap=True)
        self._state.take(event)
        self._live.update(self._state.render())


class GridState:
    """What the grid knows; apart from the terminal, so that it can be tested."""

    def __init__(self, cells: Sequence[Planned], workers: int) -> None:
        self._workers = workers
        self._began = time.monotonic()
        self._marks = {planned.cell.key: planned.action for planned in cells}
        self._cells = {planned.cell.key: planned.cell for planned in cells}
        self._squares: dict[tuple[str, str], list[str]] = {}
        for key, cell in self._cells.items():
            self._squares.setdefault((cell.names["dataset"], cell.names["model"]), []).append(key)
        self._shares: dict[str, float] = {}
        self._seconds: list[float] = []
        self._log: list[str] = []

    def take(self, event: Event) -> None:
        """Note what happened to a cell."""
        if event.cell is None:
            return
        key = event.cell.key
        if event.kind == "started":
            self._shares[key] = 0.0
        elif event.kind == "step":
            self._shares[key] = event.step / event.steps
        elif event.kind == "ended":
            self._shares.pop(key, None)
            self._marks[key] = event.ending  # type: ignore[assignment]
            if event.ending != "cached":
                self._seconds.append(event.seconds)
            if event.sentence and event.ending != "ok":
                self._log.append(f"{event.cell.label} {event.ending}: {event.sentence}")

    def render(self) -> RenderableType:
        """The grid, the estimate, and the last failures."""
        columns = list(dict.fromkeys(cell.names["model"] for cell in self._cells.values()))
        table = Table(box=None, pad_edge=False)
        table.add_column("")
        for column in columns:
            table.add_column(escape(column), justify="center")
        for dataset in dict.fromkeys(cell.names["dataset"] for cell in self._cells.values()):
            marks = [self._square(dataset, column) for column in columns]
            table.add_row(escape(dataset), *marks)
        failures = [Text(line, style="red", overflow="ellipsis") for line in self._log[-3:]]
        return Group(table, Text(self.sentence()), *failures)

    def sentence(self) -> str:
        """Counts, and about how long the rest takes, from the cells that have ended."""
        waiting = sum(mark == "run" for mark in self._marks.values()) - len(self._shares)
        ended = [m for m in self._marks.values() if m != "run"]
        failed = sum(m in ("failed", "unwritten") for m in ended)
        words = (
            f"{len(ended)} of {len(self._marks)} cells done"
            f" ({ended.count('cached')} from the store), {len(self._shares)} running"
        )
        words += f", {failed} failed" if failed else ""
        words += f"; {time.monotonic() - self._began:.0f} s so far"
        if self._seconds and (waiting or self._shares):
            mean = sum(self._seconds) / len(self._seconds)
            left = waiting + sum(1 - share for share in self._shares.values())
            words += f", about {mean * left / self._workers:.0f} s left"
        return words

    def _square(self, dataset: str, model: str) -> Text:
        cells = self._squares.get((dataset, model), [])
        if not cells:
            return Text("")
        shares = [self._shares[key] for key in cells if key in self._shares]
        marks = [self._marks[key] for key in cells]
        if any(mark in ("failed", "unwritten") for mark in marks):
            return Text("✗", style="red")
        if shares:
            return Text(f"{shares[0]:.0%}", style="yellow")
        done = sum(mark != "run" for mark in marks)
        if done == len(cells):
            return Text("–" if "skipped" in marks else "✓", style="green")
        return Text(f"{done}/{len(cells)}" if len(cells) > 1 else "·", style="dim")
