"""A run in a fork of the warm server: what it finds imported, looked up and put aside."""

from __future__ import annotations

import pytest
from cells_factory import cell
from fresh_imports import run_and_tell

from quintain.launch.limits import Limits
from quintain.launch.local import LocalPool
from quintain.launch.server import context, warm
from quintain.records.store import Store

OWN = ("quintain.plugins", "quintain_local")  # a run's own: their sources are the cell's
DATA = ("pyarrow", "pydoc_data")  # of one dataset each


@pytest.mark.parametrize("dataset", ["digits", "sunspots", "pydoc"])
def test_a_run_imports_and_looks_up_nothing_but_its_own_plugins(dataset, tmp_path):
    """What the server has not imported every single run pays for: once it was 0.2 s a run."""
    (tmp_path / "records").mkdir()
    warm()
    ours, theirs = context().Pipe(duplex=False)
    printed, output = context().Pipe(duplex=False)
    made = cell(dataset, "mlp")
    arguments = (made.to_json(), str(tmp_path), output, theirs)
    process = context().Process(target=run_and_tell, args=arguments)
    process.start()
    theirs.close()
    output.close()
    told = []
    while not told or told[-1][0] != "found":
        told.append(ours.recv())
    process.join()
    printed.close()
    assert ("ended", "ok") in [message[:2] for message in told]
    _, imported, asked, frozen = told[-1]
    assert [name for name in imported if not name.startswith((*OWN, *DATA))] == []
    assert asked == []
    assert frozen > 100_000


def test_who_asks_a_sweep_to_end_is_told_how_long_it_may_take(tmp_path):
    """In a log as on a terminal; before, nothing was said until the last cell had left."""
    asked, notes = [], []
    pool = LocalPool(Store(tmp_path), workers=1, limits=Limits(grace=120.0))
    for event in pool.run([cell("digits", "mlp")], stopped=lambda: len(asked)):
        if event.kind == "started":
            asked.append(event)
        if event.kind == "note":
            notes.append(event.sentence)
    assert len(notes) == 1
    assert "120 s to keep their state (1 of them)" in notes[0]
