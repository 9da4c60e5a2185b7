"""What a person sees while a sweep runs."""

from __future__ import annotations

import io

import pytest
from cells_factory import cell
from rich.console import Console

from quintain.compose.plan import Planned
from quintain.launch import view
from quintain.launch.events import Event
from quintain.launch.view import Grid, GridState, Lines, make_view


@pytest.fixture
def now(monkeypatch):
    moment = [1000.0]
    monkeypatch.setattr(view.time, "monotonic", lambda: moment[0])
    return moment


def text(state: GridState) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(state.render())
    return console.file.getvalue()


def squares(state: GridState, row: str) -> list[str]:
    line = next(line for line in text(state).splitlines() if line.startswith(row))
    return line.split()[1:]


def planned(*cells, action="run"):
    return [Planned(c, action) for c in cells]


def test_a_cell_from_waiting_to_done(now):
    made = cell("digits", "cnn")
    state = GridState(planned(made), workers=1)
    assert squares(state, "digits") == ["·"]
    state.take(Event("started", made))
    assert squares(state, "digits") == ["0%"]
    state.take(Event("step", made, step=3, steps=4))
    assert squares(state, "digits") == ["75%"]
    assert "0 of 1 cells done (0 from the store), 1 running" in text(state)
    state.take(Event("ended", made, ending="ok", seconds=2.0))
    assert squares(state, "digits") == ["✓"]
    assert "1 of 1 cells done (0 from the store), 0 running" in text(state)


@pytest.mark.parametrize("ending", ["failed", "unwritten"])
def test_a_failure_is_shown_with_its_sentence(now, ending):
    made = cell("digits", "cnn")
    state = GridState(planned(made), workers=1)
    state.take(Event("started", made))
    state.take(Event("ended", made, ending=ending, sentence="loss is [nan] at step 3", seconds=1))
    assert squares(state, "digits") == ["✗"]
    assert f"digits/cnn/cpu/s1 {ending}: loss is [nan] at step 3" in text(state)
    assert "1 failed" in text(state)


def test_seeds_share_a_square(now):
    cells = [cell("digits", "cnn", seed=seed) for seed in (1, 2, 3)]
    state = GridState(planned(*cells), workers=2)
    assert squares(state, "digits") == ["0/3"]
    state.take(Event("ended", cells[0], ending="ok", seconds=1.0))
    assert squares(state, "digits") == ["1/3"]
    state.take(Event("started", cells[1]))
    state.take(Event("step", cells[1], step=1, steps=2))
    assert squares(state, "digits") == ["50%"]
    state.take(Event("ended", cells[1], ending="failed", seconds=1.0))
    assert squares(state, "digits") == ["✗"]


def test_rows_columns_and_what_is_not_planned(now):
    cells = planned(cell("digits", "cnn"), cell("pydoc", "lstm"))
    cells += planned(cell("pydoc", "cnn"), action="cached")
    cells += planned(cell("digits", "rnn"), action="skipped")
    state = GridState(cells, workers=1)
    header = text(state).splitlines()[0].split()
    assert header == ["cnn", "lstm", "rnn"]
    assert squares(state, "digits") == ["·", "–"]
    assert squares(state, "pydoc") == ["✓", "·"]
    assert "2 of 4 cells done (1 from the store), 0 running" in text(state)


def test_the_estimate_is_the_mean_of_what_ran_over_the_workers(now):
    cells = [cell("digits", "cnn", seed=seed) for seed in range(1, 7)]
    state = GridState(planned(*cells), workers=2)
    assert "left" not in state.sentence()
    state.take(Event("ended", cells[0], ending="cached"))  # another sweep had it: no time
    assert "left" not in state.sentence()
    now[0] += 12
    state.take(Event("ended", cells[1], ending="ok", seconds=10.0))
    state.take(Event("started", cells[2]))
    state.take(Event("step", cells[2], step=1, steps=2))
    # 3 waiting and half of one, 10 s each, on 2 workers
    assert state.sentence().endswith("12 s so far, about 18 s left")


def test_lines_for_logs_and_pipes():
    cells = planned(cell("digits", "cnn"), cell("digits", "rnn"))
    cells += planned(cell("digits", "lstm"), action="cached")
    console = Console(file=io.StringIO(), width=40)
    with make_view(console, cells, 2) as lines:
        assert isinstance(lines, Lines)
        lines.show(Event("started", cells[0].cell))
        lines.show(Event("tick"))
        lines.show(Event("ended", cells[0].cell, ending="ok", seconds=1.25))
        sentence = "a sentence that is longer than the screen is wide, [bold]"
        lines.show(Event("ended", cells[1].cell, ending="failed", seconds=2, sentence=sentence))
    assert console.file.getvalue().splitlines() == [
        "[1/2] ok       digits/cnn/cpu/s1  1.2 s",
        f"[2/2] failed   digits/rnn/cpu/s1  2.0 s  {sentence}",
    ]


def test_a_log_is_told_what_runs_when_nothing_was_said_for_a_minute(now):
    cells = planned(cell("digits", "cnn"), cell("digits", "rnn"))
    console = Console(file=io.StringIO(), width=40)
    with make_view(console, cells, 2) as lines:
        lines.show(Event("tick"))
        lines.show(Event("started", cells[0].cell))
        now[0] += 59
        lines.show(Event("started", cells[1].cell))
        lines.show(Event("tick"))
        assert console.file.getvalue() == ""
        now[0] += 1
        lines.show(Event("step", cells[0].cell, step=1, steps=4))
        for _ in range(3):
            lines.show(Event("tick"))
        first = "running: digits/cnn/cpu/s1 25% after 60 s, digits/rnn/cpu/s1 0% after 1 s"
        assert console.file.getvalue().splitlines() == [first]
        now[0] += 59
        lines.show(Event("ended", cells[0].cell, ending="ok", seconds=119.0))
        now[0] += 59  # since something was said
        lines.show(Event("tick"))
        now[0] += 1
        lines.show(Event("tick"))
        lines.show(Event("ended", cells[1].cell, ending="ok", seconds=120.0))
        now[0] += 100
        lines.show(Event("tick"))  # nothing runs
    assert console.file.getvalue().splitlines()[1:] == [
        "[1/2] ok       digits/cnn/cpu/s1  119.0 s",
        "running: digits/rnn/cpu/s1 0% after 120 s",
        "[2/2] ok       digits/rnn/cpu/s1  120.0 s",
    ]


def test_the_live_grid_on_a_terminal_and_lines_on_a_dumb_one(monkeypatch):
    cells = planned(cell("digits", "cnn"))
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with make_view(console, cells, 1) as grid:
        assert isinstance(grid, Grid)
        grid.show(Event("started", cells[0].cell))
        grid.show(Event("tick"))
        grid.show(Event("ended", cells[0].cell, ending="failed", sentence="no [/luck]", seconds=1))
    assert "cells done" in screen.getvalue()
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(make_view(dumb, cells, 1), Lines)
