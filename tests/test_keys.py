"""A record's key from its cell: what `compose` hashes before the run and `records` after it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cells_factory import cell
from records_factory import genuine, make

from quintain.compose.cells import make_cell
from quintain.records.keys import recomputed
from quintain.records.schema import Record
from quintain.run.identity import skipped


def read_back(record: Record) -> Record:
    return Record.model_validate_json(record.to_json())


@pytest.mark.parametrize(
    "made",
    [
        cell(),
        cell("sunspots", "lstm", seed=7, optimizer={"lr": 0.5}),
        cell("pydoc", "transformer"),  # a text that comes with Python
        cell(reference="majority"),
    ],
    ids=["digits", "sunspots", "pydoc", "reference"],
)
def test_a_record_hashes_to_the_key_of_its_cell(made):
    record = read_back(skipped(made, "a test"))
    assert recomputed(record) == (made.key, made.group)


def test_a_trial_hashes_to_its_key():
    plain = cell()
    trial = {"study": "ab" * 8, "number": 3}
    made = make_cell(plain.config, plain.names | {"stem": "rows"}, seed=2, trial=trial)
    assert recomputed(read_back(skipped(made, "a test"))) == (made.key, made.group)
    assert recomputed(skipped(replace(made, trial=None), "a test")) != (made.key, made.group)


@pytest.mark.parametrize(
    "changes",
    [{"seed": 2}, {"reference": True}, {"cell": {"optimizer": {"lr": 0.02}}}],
    ids=str,
)
def test_what_decides_a_result_changes_the_key(changes):
    assert recomputed(make(**changes)) != recomputed(make())


def test_no_key_of_a_cell_that_lost_a_secret_or_a_number():
    assert recomputed(genuine()) is not None
    assert recomputed(make(cell={"model": {"token": "[redacted]"}})) is None
    assert recomputed(make(cell={"model": {"scale": float("inf")}})) is None
