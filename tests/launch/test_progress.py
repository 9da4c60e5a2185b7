"""The progress view of a sweep: grid on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest
from helpers.cell_factory import build_cell
from rich.console import Console

from quintain.launch import progress
from quintain.launch.events import Event
from quintain.launch.progress import GridState, LiveGrid, LogLines, create_view
from quintain.plan.plan import PlannedCell


@pytest.fixture
def clock(monkeypatch):
    moment = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: moment[0])
    return moment


def render_text(state: GridState) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(state.render())
    return console.file.getvalue()


def row_states(state: GridState, row: str) -> list[str]:
    line = next(line for line in render_text(state).splitlines() if line.startswith(row))
    return line.split()[1:]


def planned(*cells, action="run"):
    return [PlannedCell(c, action) for c in cells]


def test_a_cell_is_shown_waiting_running_and_done(clock):
    cell = build_cell("digits", "cnn")
    state = GridState(planned(cell), workers=1)
    assert row_states(state, "digits") == ["·"]
    state.update(Event("started", cell))
    assert row_states(state, "digits") == ["0%"]
    state.update(Event("step", cell, step=3, steps=4))
    assert row_states(state, "digits") == ["75%"]
    assert "0 of 1 cells done (0 from the store), 1 running" in render_text(state)
    state.update(Event("ended", cell, ending="ok", seconds=2.0))
    assert row_states(state, "digits") == ["✓"]
    assert "1 of 1 cells done (0 from the store), 0 running" in render_text(state)


@pytest.mark.parametrize("ending", ["failed", "unwritten"])
def test_a_failure_is_shown_with_its_message(clock, ending):
    cell = build_cell("digits", "cnn")
    state = GridState(planned(cell), workers=1)
    state.update(Event("started", cell))
    state.update(Event("ended", cell, ending=ending, message="loss is [nan] at step 3", seconds=1))
    assert row_states(state, "digits") == ["✗"]
    assert f"digits/cnn/cpu/s1 {ending}: loss is [nan] at step 3" in render_text(state)
    assert "1 failed" in render_text(state)


def test_seeds_share_a_table_cell(clock):
    cells = [build_cell("digits", "cnn", seed=seed) for seed in (1, 2, 3)]
    state = GridState(planned(*cells), workers=2)
    assert row_states(state, "digits") == ["0/3"]
    state.update(Event("ended", cells[0], ending="ok", seconds=1.0))
    assert row_states(state, "digits") == ["1/3"]
    state.update(Event("started", cells[1]))
    state.update(Event("step", cells[1], step=1, steps=2))
    assert row_states(state, "digits") == ["50%"]
    state.update(Event("ended", cells[1], ending="failed", seconds=1.0))
    assert row_states(state, "digits") == ["✗"]


def test_rows_columns_and_cells_that_do_not_exist(clock):
    cells = planned(build_cell("digits", "cnn"), build_cell("pydoc", "lstm"))
    cells += planned(build_cell("pydoc", "cnn"), action="cached")
    cells += planned(build_cell("digits", "rnn"), action="skipped")
    state = GridState(cells, workers=1)
    header = render_text(state).splitlines()[0].split()
    assert header == ["cnn", "lstm", "rnn"]
    assert row_states(state, "digits") == ["·", "–"]
    assert row_states(state, "pydoc") == ["✓", "·"]
    assert "2 of 4 cells done (1 from the store), 0 running" in render_text(state)


def test_the_estimate_is_the_mean_time_of_finished_cells_over_the_workers(clock):
    cells = [build_cell("digits", "cnn", seed=seed) for seed in range(1, 7)]
    state = GridState(planned(*cells), workers=2)
    assert "left" not in state.summary()
    state.update(
        Event("ended", cells[0], ending="cached")
    )  # run by another sweep: no time is known
    assert "left" not in state.summary()
    clock[0] += 12
    state.update(Event("ended", cells[1], ending="ok", seconds=10.0))
    state.update(Event("started", cells[2]))
    state.update(Event("step", cells[2], step=1, steps=2))
    # 3 waiting and half of one, 10 s each, on 2 workers
    assert state.summary().endswith("12 s so far, about 18 s left")


def test_lines_for_logs_and_pipes():
    cells = planned(build_cell("digits", "cnn"), build_cell("digits", "rnn"))
    cells += planned(build_cell("digits", "lstm"), action="cached")
    console = Console(file=io.StringIO(), width=40)
    with create_view(console, cells, 2) as lines:
        assert isinstance(lines, LogLines)
        lines.show(Event("started", cells[0].cell))
        lines.show(Event("tick"))
        lines.show(Event("ended", cells[0].cell, ending="ok", seconds=1.25))
        message = "a message that is longer than the screen is wide, [bold]"
        lines.show(Event("ended", cells[1].cell, ending="failed", seconds=2, message=message))
    assert console.file.getvalue().splitlines() == [
        "[1/2] ok       digits/cnn/cpu/s1  1.2 s",
        f"[2/2] failed   digits/rnn/cpu/s1  2.0 s  {message}",
    ]


def test_a_log_names_the_running_cells_after_a_quiet_minute(clock):
    cells = planned(build_cell("digits", "cnn"), build_cell("digits", "rnn"))
    console = Console(file=io.StringIO(), width=40)
    with create_view(console, cells, 2) as lines:
        lines.show(Event("tick"))
        lines.show(Event("started", cells[0].cell))
        clock[0] += 59
        lines.show(Event("started", cells[1].cell))
        lines.show(Event("tick"))
        assert console.file.getvalue() == ""
        clock[0] += 1
        lines.show(Event("step", cells[0].cell, step=1, steps=4))
        for _ in range(3):
            lines.show(Event("tick"))
        first = "running: digits/cnn/cpu/s1 25% after 60 s, digits/rnn/cpu/s1 0% after 1 s"
        assert console.file.getvalue().splitlines() == [first]
        clock[0] += 59
        lines.show(Event("ended", cells[0].cell, ending="ok", seconds=119.0))
        clock[0] += 59  # since the last line
        lines.show(Event("tick"))
        clock[0] += 1
        lines.show(Event("tick"))
        lines.show(Event("ended", cells[1].cell, ending="ok", seconds=120.0))
        clock[0] += 100
        lines.show(Event("tick"))  # nothing is running
    assert console.file.getvalue().splitlines()[1:] == [
        "[1/2] ok       digits/cnn/cpu/s1  119.0 s",
        "running: digits/rnn/cpu/s1 0% after 120 s",
        "[2/2] ok       digits/rnn/cpu/s1  120.0 s",
    ]


def test_the_live_grid_on_a_terminal_and_lines_on_a_dumb_one(monkeypatch):
    cells = planned(build_cell("digits", "cnn"))
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with create_view(console, cells, 1) as grid:
        assert isinstance(grid, LiveGrid)
        grid.show(Event("started", cells[0].cell))
        grid.show(Event("tick"))
        grid.show(Event("ended", cells[0].cell, ending="failed", message="no [/luck]", seconds=1))
    assert "cells done" in screen.getvalue()
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with create_view(dumb, cells, 1) as lines:
        assert isinstance(lines, LogLines)
