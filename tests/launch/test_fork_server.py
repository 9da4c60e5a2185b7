"""A run in a fork of the fork server imports only its own plugins."""

from __future__ import annotations

import pytest
from helpers.cell_factory import build_cell
from helpers.fork_imports import run_and_report

from quintain.launch.fork_server import fork_context, start_fork_server
from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.records.store import Store

PLUGINS = ("quintain.plugins", "quintain_local")  # chosen by the cell
DATA = ("pyarrow", "pydoc_data")  # libraries of one dataset each


@pytest.mark.parametrize("dataset", ["digits", "sunspots", "pydoc"])
def test_a_run_imports_and_looks_up_nothing_but_its_own_plugins(dataset, tmp_path):
    """Every run must import what the server has not, which once took 0.2 s per run."""
    (tmp_path / "records").mkdir()
    start_fork_server()
    messages, worker_end = fork_context().Pipe(duplex=False)
    printed, output = fork_context().Pipe(duplex=False)
    cell = build_cell(dataset, "mlp")
    arguments = (cell.to_json(), str(tmp_path), output, worker_end)
    process = fork_context().Process(target=run_and_report, args=arguments)
    process.start()
    worker_end.close()
    output.close()
    received = []
    while not received or received[-1][0] != "report":
        received.append(messages.recv())
    process.join()
    printed.close()
    assert ("ended", "ok") in [message[:2] for message in received]
    _, imported, metadata_queries, frozen = received[-1]
    assert [name for name in imported if not name.startswith((*PLUGINS, *DATA))] == []
    assert metadata_queries == []
    assert frozen > 100_000


def test_a_stopping_sweep_prints_how_long_it_may_take(tmp_path):
    stop_requests, notes = [], []
    pool = LocalPool(Store(tmp_path), workers=1, limits=Limits(grace=120.0))
    for event in pool.run([build_cell("digits", "mlp")], stop_requests=lambda: len(stop_requests)):
        if event.kind == "started":
            stop_requests.append(event)
        if event.kind == "note":
            notes.append(event.message)
    assert len(notes) == 1
    assert "120 s to save their state (1 of them)" in notes[0]
